"""The one error of the command line."""

from __future__ import annotations


class CannotCheckError(Exception):
    """Nothing could be checked, and nothing was written. Its text is a sentence: what, where, and what to do."""
