"""One resource of Terraform that stands for one VM or for a group of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cdk import Construct, TerraformResource


def called(name: str) -> str:
    """`name` as that of a resource: Terraform's begin with no digit."""
    return name if name[:1].isalpha() else f"_{name}"


class Machines(TerraformResource):
    """A resource of any type, its `attributes` as Terraform's JSON has them. `documents` are its VMs as rules see
    them."""

    def __init__(self, scope: Construct, id_: str, kind: str, attributes: Mapping[str, Any],
                 documents: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(scope, id_, terraform_resource_type=kind)
        self.documents = tuple(documents)
        for name, value in attributes.items():
            self.add_override(name, value)
