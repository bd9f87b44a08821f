"""One resource of a plan or a state, as far as it is asked for."""

from __future__ import annotations

from typing import Any, TypeVar

from .shadow import Shadow, without
from .shapes import Raw, decode, one

T = TypeVar("T")


class Resource:
    """A resource instance that is there after apply. Its values stay JSON until somebody reads a shape of them."""

    __slots__ = ("_hidden", "_later", "_read", "_shape", "_values", "action", "address", "index", "mode", "module",
                 "name", "type", "used")

    def __init__(
        self, address: str, module: str, mode: str, type_: str, name: str, index: int | str | None, action: str,
        values: Raw, later: Raw | None, hidden: Raw | None,
    ) -> None:
        self.address = address
        self.module = module  # address of the module instance, "" for the root
        self.mode = mode  # managed or data
        self.type = type_
        self.name = name
        self.index = index  # of count or for_each
        self.action = action
        self.used = False  # read as a VM or as a part of one
        self._values = values
        self._later: Raw | Shadow = later
        self._hidden: Raw | Shadow = hidden
        self._shape: Any = None
        self._read: Any = None

    def read(self, shape: type[T]) -> T:
        """The values as `shape`. Raises TerraformError with the address."""
        if self._shape is not shape:
            self._read = self.value_of(shape)
            self._shape = shape
        result: T = self._read
        return result

    def value(self, attribute: str, type_: Any = str) -> Any:
        """One attribute, None where it is not set or known later."""
        return getattr(self.value_of(one(attribute, type_)), attribute)

    def value_of(self, shape: type[T]) -> T:
        """The values as `shape`, without keeping them."""
        values = decode(self._values, shape, self.address)
        # What is sensitive ends here: no reader of a resource type can let it through by mistake.
        return without(values, self.hidden) if self.hidden is not None else values

    @property
    def later(self) -> Shadow:
        """What is known only after apply."""
        if isinstance(self._later, Raw):
            self._later = _shadow(self._later, self.address)
        return self._later

    @property
    def hidden(self) -> Shadow:
        """What is sensitive."""
        if isinstance(self._hidden, Raw):
            self._hidden = _shadow(self._hidden, self.address)
        return self._hidden


def _shadow(raw: Raw, address: str) -> Shadow:
    # Most shadows cover nothing; a search of the bytes is cheaper than building them.
    return decode(raw, dict[str, Any] | bool | None, address) if b"true" in bytes(raw) else None  # type: ignore[arg-type]
