"""A request about one ``muster_vm``: what its plan, its apply and its reading share."""

from __future__ import annotations

import re

from muster.model.vm import VM
from tf.iface import State
from tf.types import Unknown
from tf.utils import Diagnostics

from . import values
from .asking import Asking

OBSERVED = ("id", "uuid", "address")
# How drivers, the planner and the operations name the field that they refuse.
_REFUSED = re.compile(r"the field '(?P<field>[^']+)' cannot be honoured|(?P<grown>\S+) cannot shrink from|"
                      r"the (?P<image>image) '")


class VmRequest(Asking):
    """A request about one VM."""

    def refuse(self, diags: Diagnostics, what: str, sentence: str) -> None:
        """An error, at the attribute that `sentence` names, if it names one."""
        found = _REFUSED.search(sentence)
        place = values.named(str(found[found.lastgroup or 0]), self.config) if found else None
        diags.add_error(what, sentence, path=place)

    def desired(self, state: State) -> VM | None:
        """What the configuration asks for, as far as it is known; None while it is not known which VM it is."""
        if Unknown in (state["name"], state["site"]):
            return None
        return self.settings.wanted(state["name"], state["site"], self.config.desired.spec)


def unfinished(desired: VM, there: VM) -> bool:
    """Whether an interrupted run made the VM and never saw it ready: apply finishes that."""
    return desired["power"] != "off" and there.state.get("ready") is False


def protected(vm: VM) -> bool:
    """Whether the VM itself says that it must not be deleted."""
    return bool((vm["protection"] or {}).get("deletion"))
