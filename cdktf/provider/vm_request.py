"""A request about one ``muster_vm``: what its plan, its apply and its reading share."""

from __future__ import annotations

from muster.model.vm import VM
from tf.iface import State
from tf.types import Unknown

from .asking import Asking

OBSERVED = ("id", "uuid", "address")


class VmRequest(Asking):
    """A request about one VM."""

    def desired(self, state: State) -> VM | None:
        """What the configuration asks for, as far as it is known; None while it is not known which VM it is."""
        if Unknown in (state["name"], state["site"]):
            return None
        return self.settings.wanted(state["name"], state["site"], self.config.desired.spec)


def protected(vm: VM) -> bool:
    """Whether the VM itself says that it must not be deleted."""
    return bool((vm["protection"] or {}).get("deletion"))
