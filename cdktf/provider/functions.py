"""The functions: sizes and durations as the fleet file reads them, for expressions of a configuration."""

from __future__ import annotations

from typing import Any, ClassVar

from muster.model.units import parse_duration, parse_size
from tf.function import CallContext, Function, FunctionSignature, Parameter, Return
from tf.types import Number, String

from .defect import TITLE, defect
from .provider import MusterProvider


class Answering(Function):
    """A function that answers, or says in words why not; a defect without the text of its exception."""

    def answer(self, ctx: CallContext, arguments: list[Any]) -> Any:
        """The result; None, with an error, where there is none."""
        raise NotImplementedError

    def call(self, ctx: CallContext, arguments: list[Any]) -> Any:
        try:
            return self.answer(ctx, arguments)
        except Exception as error:
            ctx.diagnostics.add_error(f"{TITLE}: {defect(error)}. Please report this.")
            return None


class _Parsed(Answering):
    """A text in, a number out."""

    name: ClassVar[str]
    example: ClassVar[str]
    unit: ClassVar[str]

    def __init__(self, provider: MusterProvider) -> None:
        """A function needs no configured provider."""

    @classmethod
    def get_name(cls) -> str:
        return cls.name

    @classmethod
    def get_signature(cls) -> FunctionSignature:
        return FunctionSignature(
            parameters=[Parameter("text", String(), description=f"Such as `{cls.example}`.")],
            return_type=Return(Number()),
            summary=f"The {cls.unit} of a text such as {cls.example}",
            description=f"The {cls.unit} that a text such as `{cls.example}` means, as a number.",
        )

    def parsed(self, text: str) -> int:
        """The number. Raises ValueError."""
        raise NotImplementedError

    def answer(self, ctx: CallContext, arguments: list[Any]) -> Any:
        try:
            return self.parsed(arguments[0])
        except ValueError as error:
            ctx.diagnostics.add_error(str(error))
            return None


class Bytes(_Parsed):
    """``provider::muster::bytes("2 GiB")``."""

    name, example, unit = "bytes", "2 GiB", "bytes"

    def parsed(self, text: str) -> int:
        return parse_size(text)


class Seconds(_Parsed):
    """``provider::muster::seconds("24h")``."""

    name, example, unit = "seconds", "24h", "seconds"

    def parsed(self, text: str) -> int:
        return parse_duration(text)
