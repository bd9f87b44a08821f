"""Files as Terraform finds them from the folder of a stack."""

from __future__ import annotations

import os.path

from ..cdk import App, TerraformStack


def from_stack(stack: TerraformStack, path: str) -> str:
    """`path` as seen from the folder in which Terraform runs over `stack`, so that a checkout may lie anywhere."""
    folder = os.path.join(os.path.abspath(App.of(stack).outdir), "stacks", stack.node.id)
    return os.path.relpath(os.path.abspath(path), os.path.realpath(folder))
