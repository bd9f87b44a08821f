"""Where the documents of a check come from: fleet files, Terraform's plans and states, facts of guests."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import CannotCheckError

if TYPE_CHECKING:
    from ..model.fleet import Fleet
    from ..terraform import Reading

MAX_FACTS = 16 << 20
_SNIFFED = 4096
_FLEET = re.compile(rb'^(?:\xef\xbb\xbf)?(?:fleet|sites|defaults|vms|rules|waivers)[ \t]*:', re.MULTILINE)
_FLEET_JSON = re.compile(rb'\s*\{\s*"(?:fleet|sites|defaults|vms|rules|waivers)"')
_TERRAFORM = (b"{", b"PK\x03\x04", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Given:
    """What one source says: its documents, for one stage. `lines` has the line of each VM of a fleet file, `unmapped`
    what a Terraform document has beside VMs, `notes` are sentences on what is not judged, `missing` is one on the VMs
    that should be there and are not."""

    source: str
    stage: str
    documents: list[dict[str, Any]]
    lines: Mapping[str, int] = field(default_factory=dict)
    unmapped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missing: str = ""
    fleet: Fleet | None = None


def read(path: str) -> Given:
    """The fleet file or the JSON of ``terraform show`` at `path`; ``-`` is standard input. Raises CannotCheckError."""
    if path == "-":
        return _read_input()
    start = _start(path)
    if _is_fleet(path, start):
        return _fleet(_bytes(path, 1 << 20, "a fleet file"), path)
    if not path.endswith((".json", ".tfplan")) and start.strip() and not start.lstrip().startswith(_TERRAFORM):
        raise CannotCheckError(f"{path}: is neither a fleet file, which begins with 'fleet: NAME', nor the JSON of a "
                               "plan or a state. Write that with 'terraform show -json FILE > plan.json'.")
    from ..terraform import TerraformError, read_document

    try:
        return _plan(read_document(path), path)
    except TerraformError as error:
        raise CannotCheckError(str(error)) from None


def _read_input() -> Given:
    from ..terraform import TerraformError
    from ..terraform.file import MAX_SIZE, STANDARD_INPUT
    from ..terraform.reading import parse

    shown = STANDARD_INPUT
    data = sys.stdin.buffer.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise CannotCheckError(f"{shown}: has more than the {MAX_SIZE >> 20} MiB that are read. Split the plan with "
                               "'terraform plan -target' or by workspace.")
    if not data.strip():
        raise CannotCheckError(f"{shown}: is empty. Pipe a fleet file into it, or what 'terraform show -json' says.")
    if _is_fleet("", data[:_SNIFFED]):
        return _fleet(data, shown)
    try:
        return _plan(parse(data, shown), shown)
    except TerraformError as error:
        raise CannotCheckError(str(error)) from None


def _is_fleet(path: str, start: bytes) -> bool:
    if path.endswith((".yml", ".yaml")):
        return not start.startswith(_TERRAFORM[1:])
    return bool(_FLEET_JSON.match(start) or (not start.lstrip().startswith(_TERRAFORM) and _FLEET.search(start)))


def _plan(reading: Reading, source: str) -> Given:
    notes = []
    for addresses, what in ((reading.deleted, "deletes"), (reading.forgotten, "leaves to nobody")):
        if addresses:
            more = f" and {len(addresses) - 5} more" if len(addresses) > 5 else ""
            notes.append(f"Not judged, for the plan {what} {'it' if len(addresses) == 1 else 'them'}: "
                         f"{', '.join(addresses[:5])}{more}.")
    if not reading.vms:
        notes.append(f"{source} has no VM after apply.")
    return Given(source, "plan", reading.vms, unmapped=reading.unmapped, notes=tuple(notes))


def _fleet(data: bytes, source: str) -> Given:
    from ..model.errors import ModelError
    from ..model.fleet import load_fleet
    from ..model.yaml_reader import decode

    try:
        fleet = load_fleet(decode(data, source), source)
    except ModelError as error:
        raise CannotCheckError(str(error)) from None
    if not fleet.vms:
        raise CannotCheckError(f"{source}: names no VM. Add 'vms', or look at what its sites have with 'muster inspect "
                               "--site NAME'.")
    return Given(source, "spec", fleet.documents(), fleet.lines, fleet=fleet)


def _start(path: str) -> bytes:
    """The first bytes of the file: enough to tell what it is."""
    with _opened(path) as stream:
        return stream.read(_SNIFFED)


def _bytes(path: str, most: int, what: str) -> bytes:
    with _opened(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise CannotCheckError(f"{path}: has more than {most >> 20} MiB, too much for {what}. Split it.")
    return data


def _opened(path: str) -> IO[bytes]:
    try:
        # Without O_NONBLOCK a FIFO would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise CannotCheckError(f"{path}: cannot be opened: {reason}. Give a fleet file or the JSON of 'terraform show "
                               "-json'.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CannotCheckError(f"{path}: is not a regular file. Give a file, or '-' for standard input.")
    return os.fdopen(descriptor, "rb")


# Guests


def guests(path: str) -> dict[str, Any]:
    """The facts of guests by the name of their VM: of a JSON file that maps names to facts, or of a folder with a file
    for each VM, as ``ansible -m muster.fleet.guest_info --tree FOLDER`` writes it. Raises CannotCheckError."""
    folder = Path(path)
    if folder.is_dir():
        files = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
        found = {one.name.removesuffix(".json"): _facts(_json(str(one)), str(one)) for one in files}
        if not found:
            raise CannotCheckError(f"{path}: is an empty folder. Fill it with 'ansible all -m muster.fleet.guest_info "
                                   "--tree FOLDER'.")
        return found
    whole = _json(path)
    if not isinstance(whole, dict):
        raise CannotCheckError(f"{path}: is not a mapping of VMs to their facts. Write {{\"web-1\": {{…}}}}.")
    return {str(name): _facts(facts, f"{path}: {name:.80}") for name, facts in whole.items()}


def _json(path: str) -> Any:
    import json

    data = _bytes(path, MAX_FACTS, "facts of guests")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise CannotCheckError(f"{path}: is not JSON. Write it with 'ansible all -m muster.fleet.guest_info --tree "
                               "FOLDER'.") from None


def _facts(value: Any, where: str) -> dict[str, Any]:
    """The facts in what the module returned, or the facts themselves."""
    facts = value.get("facts", value) if isinstance(value, dict) else None
    if not isinstance(facts, dict) or value.get("failed") or value.get("unreachable"):
        raise CannotCheckError(f"{where}: holds no facts of a guest. Gather them again with muster.fleet.guest_info.")
    return facts


def with_guests(documents: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`documents`, each with the facts of its guest where there are some."""
    return [{**document, "guest": facts[document["name"]]} if document.get("name") in facts else dict(document)
            for document in documents]
