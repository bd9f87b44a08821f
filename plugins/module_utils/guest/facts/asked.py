"""What a round trip is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Asked:
    """What the rules ask for beyond what is known: names per subject."""

    def __init__(self, asked: Mapping[str, Sequence[str]], management_user: str) -> None:
        self._asked = asked
        self.management_user = management_user

    def names(self, subject: str, known: Sequence[str]) -> list[str]:
        """The known names of a subject and those that were asked for, each once."""
        return list(dict.fromkeys([*known, *self._asked.get(subject, ())]))
