"""A plan: what would change inside the guest, and the steps that change it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .host import Host


@dataclass(frozen=True)
class Context:
    """What every kind may need to know of the run."""

    management_user: str  # the account that Muster comes back with; it is never locked out


@dataclass(frozen=True)
class Change:
    """One difference: `item` of a `kind` is `before` and shall be `after`; None is "not set"."""

    kind: str
    item: str
    before: str | None
    after: str | None

    def document(self) -> dict[str, Any]:
        """As the module returns it."""
        return {"kind": self.kind, "item": self.item, "before": self.before, "after": self.after}


class Step:
    """One thing that `apply` does. It knows which files it touches, so that the gate can save them."""

    def touches(self) -> list[str]:
        """Paths of the files that the step writes or removes."""
        return []

    def run(self, host: Host) -> None:
        """Do it. Raises GuestError."""
        raise NotImplementedError


@dataclass(frozen=True)
class Part:
    """The plan for one kind. No change means no step: what check mode shows is all that a run does."""

    kind: str
    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    gated: bool = False  # could lock the management user out: applied behind the deadman
    validate: tuple[tuple[str, ...], ...] = ()  # programs that must agree after the steps
    reload: tuple[tuple[str, ...], ...] = ()  # programs that make it effective, each run once at the end
    reboot: bool = False  # effective only after a reboot


@dataclass(frozen=True)
class Plan:
    """All parts, in the order in which they are applied."""

    parts: tuple[Part, ...] = field(default_factory=tuple)

    @property
    def changes(self) -> list[Change]:
        """Every change, in order."""
        return [change for part in self.parts for change in part.changes]

    def diff(self) -> dict[str, str]:
        """Before and after as text, one line per change, for Ansible's ``--diff``."""
        def text(values: list[tuple[str, str | None]]) -> str:
            return "".join(f"{name}: {value}\n" for name, value in values if value is not None)

        return {
            "before_header": "guest settings",
            "after_header": "guest settings",
            "before": text([(f"{c.kind} {c.item}", c.before) for c in self.changes]),
            "after": text([(f"{c.kind} {c.item}", c.after) for c in self.changes]),
        }


def compare(kind: str, wanted: dict[str, str], current: dict[str, str | None]) -> tuple[Change, ...]:
    """The changes that lead from `current` to `wanted`, in the order of `wanted`."""
    return tuple(Change(kind, item, current.get(item), value) for item, value in wanted.items()
                 if current.get(item) != value)
