"""The decoder's types: what is not declared in a `Shape` is skipped and never built.

msgspec is the one library of this room. Where it is missing, the file still imports, as Ansible's sanity test asks;
the sentence comes when a plan is read.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, TypeVar

from .errors import SHOWN_ADDRESS, TerraformError, WrongShape, printable

try:
    import msgspec
    from msgspec import Meta, Raw, Struct
except ImportError:  # the sentence comes from `decode`
    msgspec = None  # type: ignore[assignment]

    class Struct:  # type: ignore[no-redef]
        """Stands in for msgspec's."""

        def __init_subclass__(cls, **kwargs: Any) -> None:
            """Takes msgspec's options."""

    class Raw(bytes):  # type: ignore[no-redef]
        """Stands in for msgspec's."""

    def Meta(**kwargs: Any) -> Any:  # type: ignore[no-redef]  # noqa: N802
        """Stands in for msgspec's."""
        return kwargs


__all__ = ["Meta", "Number", "Raw", "Shape", "Whole", "decode", "one"]

T = TypeVar("T")

MAX_NUMBER = 1 << 53
Whole = Annotated[int, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Number = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]


class Shape(Struct, gc=False):
    """A JSON object of which the declared fields are built. All are optional: Terraform leaves out what is unknown."""


@functools.cache
def _decoder(type_: Any) -> Any:
    if msgspec is None:
        raise TerraformError("reading plans needs the Python package msgspec; install it with 'pip install msgspec'")
    return msgspec.json.Decoder(type_)


def decode(raw: bytes | memoryview | Raw, type_: type[T], place: str = "") -> T:
    """`raw` JSON as `type_`. Raises TerraformError about `place`, the address of a resource."""
    decoder: Any = _decoder(type_)  # type: ignore[arg-type]
    try:
        result: T = decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise WrongShape(str(error), place) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        subject = f"{printable(place, SHOWN_ADDRESS)}: " if place else ""
        raise TerraformError(f"{subject}is not valid JSON ({error}); make the file again") from None
    return result


@functools.cache
def one(attribute: str, type_: Any) -> Any:
    """A shape of one `attribute`, for links that are looked up by its name."""
    if msgspec is None:
        return Shape
    return msgspec.defstruct("One", [(attribute, type_ | None, None)], bases=(Shape,), gc=False)
