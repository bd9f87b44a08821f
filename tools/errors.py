"""The one error of the tools: a sentence for the operator; the program then ends with exit code 2."""

from __future__ import annotations


class ToolError(Exception):
    """Something cannot be prepared. The text says what happened and what to do now."""
