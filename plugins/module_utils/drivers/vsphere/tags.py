"""What others wrote on their VMs, as tags: vSphere's tags, which live in a service of their own, and custom
attributes.

A category, or the name of an attribute, is the key; a tag, or the attribute's text, is the value. Keys are in small
letters with ``_`` for what no key has: ``Cost Center`` is ``cost_center``. The tags of a fleet's own VMs are those of
its mark.

The service answers with what the account may read, and without a word on the rest. So an account that sees no category
is told nothing, whether there is none or it may read none.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...model.tags import key_of
from .. import deadline
from .connection import CONNECT, Session

_REST = "/rest/com/vmware/cis"
_PATIENCE, _WHOLE = 20, 120  # seconds of silence, and of a whole answer
_PAGE = 1000  # VMs in one question
_MOST = 2000  # tags and categories whose names are asked for, one by one: no call answers several
_LIMIT = 64 << 20  # bytes of one answer
_SEVERAL = ", "
Tags = dict[str, str]


def attributes(values: Iterable[Any] | None, names: Mapping[int, str]) -> Tags:
    """The custom attributes of a VM; `names` by their keys. One that is empty is not set."""
    found = {key_of(names.get(one.key, "")): str(getattr(one, "value", "")) for one in values or ()}
    return {key: value for key, value in found.items() if key and value}


def attached(session: Session, vms: Sequence[str]) -> dict[str, Tags] | None:
    """The tags of the VMs with these ids of vCenter; None where nobody can say. Reads alone; asked once for each 1,000
    VMs, and once for each tag and category that is found."""
    if not vms or session.memory.get("no tags"):
        return None if vms else {}
    try:
        with _Service(session) as service:
            found = service.attached(vms)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        found = None  # no such service, no right, or another answer than its own
    if found is None:
        session.memory["no tags"] = True  # it is not waited for again
    return found


class _Service:
    """A session with the tagging service, ended when it is left. Whatever goes wrong is one of `attached`'s errors."""

    def __init__(self, session: Session) -> None:
        self.account = session.account
        self.connection = http.client.HTTPSConnection(
            session.host, session.port, timeout=CONNECT, context=session.tls)
        self.connection.response_class = deadline.answers(_WHOLE)
        self.headers = {"Accept": "application/json", "Content-Type": "application/json"}

    def __enter__(self) -> _Service:
        account = f"{self.account.user}:{self.account.password}".encode()
        self.connection.connect()
        self.connection.sock.settimeout(_PATIENCE)
        try:
            basic = {"Authorization": "Basic " + base64.b64encode(account).decode("ascii")}
            ticket = self._ask("POST", "session", more=basic)
            self.headers["vmware-api-session-id"] = _text(ticket)
        except BaseException:
            self.connection.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(Exception):  # it ends by itself
            self._ask("DELETE", "session")
        self.connection.close()

    def _ask(self, method: str, path: str, body: Any = None, more: Mapping[str, str] | None = None) -> Any:
        """The ``value`` of an answer. A redirect, or any other answer than 200, is an error."""
        text = None if body is None else json.dumps(body)
        self.connection.request(method, f"{_REST}/{path}", text, {**self.headers, **(more or {})})
        answer = self.connection.getresponse()
        content = answer.read(_LIMIT + 1)
        if answer.status != 200 or len(content) > _LIMIT:
            raise http.client.HTTPException(f"{answer.status} {answer.reason}")
        return json.loads(content).get("value") if content else None

    def attached(self, vms: Sequence[str]) -> dict[str, Tags] | None:
        """The tags of each VM; None where the account sees no category, or there are too many to be named."""
        if not self._ask("GET", "tagging/category"):
            return None
        ids: dict[str, list[str]] = {}
        for first in range(0, len(vms), _PAGE):
            asked = [{"type": "VirtualMachine", "id": vm} for vm in vms[first : first + _PAGE]]
            action = "tagging/tag-association?~action=list-attached-tags-on-objects"
            for one in self._ask("POST", action, {"object_ids": asked}) or ():
                ids[_text(one["object_id"]["id"])] = [_text(tag) for tag in one["tag_ids"] or ()]
        wanted = sorted({tag for tags in ids.values() for tag in tags})
        if len(wanted) > _MOST:
            return None
        tags = {tag: self._ask("GET", f"tagging/tag/id:{_safe(tag)}") for tag in wanted}
        categories = {
            category: _text(self._ask("GET", f"tagging/category/id:{_safe(category)}")["name"])
            for category in sorted({_text(tag["category_id"]) for tag in tags.values()})
        }
        named = {tag: (key_of(categories[its["category_id"]]), _text(its["name"])) for tag, its in tags.items()}
        return {vm: _joined(named[tag] for tag in ids.get(vm, ())) for vm in vms}


def _joined(pairs: Iterable[tuple[str, str]]) -> Tags:
    """Several tags of one category are one value."""
    found: dict[str, list[str]] = {}
    for key, value in sorted(pairs):
        found.setdefault(key, []).append(value)
    return {key: _SEVERAL.join(values) for key, values in found.items() if key}


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no text")
    return value


def _safe(name: str) -> str:
    """An id of vCenter as a part of a path. Raises ValueError for one that would lead elsewhere."""
    if not re.fullmatch(r"[A-Za-z0-9:._-]{1,200}", name):
        raise ValueError("no id")
    return name
