"""A waiver: who allowed which VMs to miss which rule, why, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Waiver:
    """`vms` are names, or beginnings of names with a star: ``web-1``, ``web-*``, ``*``. `until` is the last day.

    A VM of a plan is named by its address too, such as ``aws_instance.web``: that is what a report of a plan shows, and
    its name may be known only after apply.
    """

    rule: str
    vms: tuple[str, ...]
    reason: str
    approver: str
    until: date

    def covers(self, rule: str, vm: str, today: date, address: str = "") -> bool:
        """Whether it waives `rule` for `vm`, which Terraform knows by `address`, on the day `today`."""
        return today <= self.until and self.concerns(rule, vm, address)

    def concerns(self, rule: str, vm: str, address: str = "") -> bool:
        """Whether it names `rule` and `vm`, expired or not."""
        return rule == self.rule and any(
            vm.startswith(name[:-1]) or (address != "" and address.startswith(name[:-1])) if name.endswith("*")
            else name in (vm, address) for name in self.vms
        )

    def sentence(self) -> str:
        """Who allowed it, until when and why."""
        return f"{self.approver} allowed it until {self.until.isoformat()}, because: {self.reason}"
