"""All facts of a guest in one round trip: the ``guest`` part of a VM document."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from ..host import GuestError, Host
from . import access, accounts, audit, boot, files, kernel, logins, network, software, sshd, system


class Asked:
    """What the rules ask for beyond what is known: names per subject."""

    def __init__(self, asked: Mapping[str, Sequence[str]], management_user: str) -> None:
        self._asked = asked
        self.management_user = management_user

    def names(self, subject: str, known: Sequence[str]) -> List[str]:
        """The known names of a subject and those that were asked for, each once."""
        return list(dict.fromkeys([*known, *self._asked.get(subject, ())]))


Question = Callable[[Host, Asked], Dict[str, Any]]

QUESTIONS: Tuple[Tuple[str, Question], ...] = (
    ("system", system.facts),
    ("kernel", kernel.facts),
    ("sshd", sshd.facts),
    ("software", software.facts),
    ("files", files.facts),
    ("accounts", accounts.facts),
    ("logins", logins.facts),
    ("access", access.facts),
    ("audit", audit.facts),
    ("boot", boot.facts),
    ("network", network.facts),
)


def gather(host: Host, asked: Mapping[str, Sequence[str]], management_user: str,
           seconds: float = 120) -> Dict[str, Any]:
    """Ask every question. What could not be read is absent, and `unread` tells why: it is never guessed.

    `seconds` bounds the whole; questions that no time was left for are unread too.
    """
    document: Dict[str, Any] = {}
    unread: Dict[str, str] = {}
    end = time.monotonic() + seconds
    ask = Asked(asked, management_user)
    for subject, question in QUESTIONS:
        if time.monotonic() > end:
            unread[subject] = f"No time was left after {seconds:g} s."
            continue
        try:
            answer = question(host, ask)
        except (GuestError, OSError, ValueError, IndexError, KeyError) as error:
            unread[subject] = str(error)[:500]
            continue
        unread.update(answer.pop("unread", {}))
        document.update(answer)
    document["unread"] = unread
    return document
