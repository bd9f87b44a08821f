"""What a fleet must satisfy: rules, their evaluation and the reports that are made of it."""

from __future__ import annotations

from .evaluate import check
from .packfile import load_rules
from .report import Report

__all__ = ["Report", "check", "load_rules"]
