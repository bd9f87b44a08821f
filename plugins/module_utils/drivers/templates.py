"""The template of a site that an image of the fleet file means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TypeVar

from ..model.errors import nearest
from .driver import Ambiguous, NotFound, Template

Reference = TypeVar("Reference")


def chosen(
    image: Template, known: Sequence[tuple[str, str, Reference]], kind: str, *, site: str, vm: str
) -> Reference:
    """Of `known`, name and id with what the platform calls it, the one whose name or id the image names. `kind` is what
    an id is called there. Raises NotFound with the nearest names, Ambiguous with all ids."""
    found = [(id_, reference) for name, id_, reference in known if image.source in (name, id_)]
    if len(found) > 1:
        raise Ambiguous(
            f"{len(found)} templates are called '{image.source}': " + ", ".join(id_ for id_, _reference in found),
            site=site,
            vm=vm,
            todo=f"Name the one that you mean by its {kind}",
        )
    if not found:
        raise NotFound(
            f"there is no template '{image.source}' for the image '{image.name}'; "
            + _nearest(image.source, [name for name, _id, _reference in known]),
            site=site,
            vm=vm,
            todo=f"Mend sites.{site}.images.{image.name}.template",
        )
    return found[0][1]


def _nearest(source: str, names: Sequence[str]) -> str:
    """The end of the sentence: up to three names that are near."""
    close = sorted(difflib.get_close_matches(source[:128], sorted(set(names))[:1000], n=3))
    if len(close) < 2:
        return nearest(source, names)
    return "did you mean " + ", ".join(f"'{name}'" for name in close[:-1]) + f" or '{close[-1]}'?"
