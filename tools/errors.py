"""The one error of the image tools: a sentence for the operator; the program then ends with exit code 2."""

from __future__ import annotations


class ImageError(Exception):
    """The guest image cannot be built or used. The text says what happened and what to do now."""
