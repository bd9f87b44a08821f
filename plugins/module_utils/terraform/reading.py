"""A plan or a state as VM documents: what rules see before anything is built."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..model.garbage import no_search_for_cycles
from . import file
from .document import Contents, Document, contents
from .draft import Draft
from .errors import TerraformError
from .resource import Resource
from .resources.registry import VMS
from .shapes import decode
from .world import World


@dataclass(frozen=True)
class Reading:
    """What a plan or a state holds.

    `vms`: a document for each VM that is there after apply, in the order of the file. `unmapped`: how many managed
    resources of which type were read neither as a VM nor as a part of one. `deleted` and `forgotten`: addresses of VMs
    that the plan deletes, or leaves running and out of Terraform's sight. `versions` are as the file says.
    """

    vms: list[dict[str, Any]]
    unmapped: dict[str, int] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    format_version: str = ""
    terraform_version: str = ""


def read_document(path: str | os.PathLike[str]) -> Reading:
    """The file at `path`, the output of ``terraform show -json``. Raises TerraformError, one sentence with the file."""
    return parse(file.read_bytes(path), os.fspath(path))


def parse(data: bytes, source: str = "") -> Reading:
    """`data`, the bytes of such a file; `source` names it in errors. Raises TerraformError."""
    try:
        with no_search_for_cycles():
            document = _decoded(file.checked(data, source))
            return _reading(document, contents(document, source))
    except TerraformError as error:
        error.source = source
        raise
    except RecursionError:
        raise TerraformError("is nested too deeply for a plan; make it again with 'terraform show -json FILE > "
                             "plan.json'", source) from None


def _decoded(data: bytes) -> Document:
    if not data.rstrip().endswith(b"}"):
        raise TerraformError("is cut off, its last bracket is missing; make the file again and wait for its end")
    return decode(data, Document)


def _reading(document: Document, found: Contents) -> Reading:
    vms = [_vm(resource, found.world) for resource in found.managed if resource.type in VMS]
    unmapped = Counter(found.aside)
    unmapped.update(each.type for each in found.managed if not each.used and each.type not in VMS)
    return Reading(
        vms, dict(sorted(unmapped.items())), _of_vms(found.deleted), _of_vms(found.forgotten),
        document.format_version or "", document.terraform_version)


def _vm(resource: Resource, world: World) -> dict[str, Any]:
    draft = Draft(resource)
    document = draft.document
    document["name"] = resource.address  # most types know a better one
    document["terraform_address"] = resource.address
    document["terraform_type"] = resource.type
    document["action"] = resource.action
    VMS[resource.type](resource, draft, world)
    return draft.finish()


def _of_vms(addresses: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(address for type_, found in addresses.items() if type_ in VMS for address in found)
