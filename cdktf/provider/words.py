"""The provider's sentences that more than one place says, or that are long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muster.model.vm import VM

PROTECTED = (
    "{} is protected from deletion and stays as it is, with its state. Set protection.deletion to false and apply "
    "that in a run of its own before."
)
NOT_OURS = (
    "It is there and does not bear this fleet's ownership mark for that name any more. The VM and the state were "
    "left as they are: find out who took the mark."
)
NOT_AS_PLANNED = "The VM is not as it was planned for. Nothing was changed: plan again."
NO_VM_AT_ALL = (
    "Site '{}' answers with no VM at all, which a lack of rights looks like too. The state was left as it is: look "
    "at the site, and where it is really empty take the VM out of the state with 'terraform state rm'."
)
MADE_JUST_NOW = (
    "This run has just taken the {0} into the state again: a {0}'s identity is its name, so the new one cannot be "
    "made before the old one is deleted. Nothing was deleted: remove create_before_destroy."
)
KEPT_AND_DELETED = (
    "One resource of this plan is this VM, and another that is this VM too is to be deleted: the VM would be gone with "
    "its disks. Nothing was changed. If the resource was renamed, or moved into a module or a for_each, say so with a "
    "'moved' block; if it was imported anew, take the old one out of the state with 'terraform state rm'; if the VM is "
    "to be made anew, use 'terraform apply -replace'."
)
TWICE = (
    "A VM's identity is its name and site, so both would change the same one, each to its own configuration. Nothing "
    "was changed: give one of them another name, or remove it."
)
TAKEN_OVER = (
    "It bears this fleet's mark for that name: an earlier run made it, or Ansible. Apply makes no second one, takes it "
    "over{} and changes {}."
)
NOT_TAKEN_OVER = (
    "It is there already and bears this fleet's mark, so it would be taken over; but {} can be changed by making it "
    "anew only, and what is taken over is not deleted. Nothing was changed: undo that, or let Terraform plan the "
    "replacement of what it knows, after 'terraform import ADDRESS {}/{}'."
)
LEFT = (
    "The VM is there and in no state. Apply again, which carries on with it; or be rid of it by 'terraform import "
    "ADDRESS {}/{}' with the address of the resource, and 'terraform destroy'."
)
NO_SUCH_VM = (
    "Site '{}' has {} that bears the mark of the fleet '{}' for '{}'. Nothing was done: name a VM of the fleet, best "
    "as vm = muster_vm.web.name, so that it is made before."
)
OTHER_SNAPSHOT = (
    "A snapshot of that name is there with the description '{}' and hold {}, and was left as it is. Import it, or give "
    "this one another name."
)
OTHER_RESTORE_POINT = (
    "'{}' is the name of another restore point, and {} was left without one. Import that one, or give this one another "
    "name."
)
NO_RESTORE_POINT_AT_ALL = (
    "The repository {} has no restore point of VM '{}' at all, and retention always leaves one. The state was left as "
    "it is: is the repository there and mounted? If all are really gone, take this one out of the state with "
    "'terraform state rm'."
)
RESTORE_POINT_STAYS = (
    "Terraform lets it go and deletes no backup: it stays in the repository until the VM's retention removes it."
)
RENAMED = (
    "It was renamed past Muster and found by its UUID. Nothing depends on that name; rename it back at the site, or"
    " leave it."
)
NO_POWER_CYCLE = (
    "{} needs a power cycle, which this run does not allow. Nothing was changed. Allow it with allow_power_cycle in"
    " the provider's settings, or undo the change."
)


def of(vm: VM) -> str:
    """A VM of the fleet, as sentences name it."""
    return called({"name": vm.owner.vm, "site": vm.site})


def called(state: Mapping[str, Any]) -> str:
    """The VM of a state or a configuration, as sentences name it."""
    name, site = (state.get(key) for key in ("name", "site"))
    return f"VM '{name}'" + (f" at site '{site}'" if isinstance(site, str) else "")
