"""Terraform's and OpenTofu's plans and states, read as VMs."""

from __future__ import annotations

from .errors import TerraformError
from .reading import Reading, read_document

__all__ = ["Reading", "TerraformError", "read_document"]
