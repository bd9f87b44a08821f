"""The plan of a fleet: found by mark, never by name alone; orphans stay unless asked; bound to what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from muster.model.fleet import load_fleet
from muster.model.fleet_planner import FleetPlan, fingerprint, plan_fleet
from muster.model.vm import VM, Mark

FLEET = load_fleet("""
fleet: acme
sites: {lab: {platform: libvirt}, attic: {platform: libvirt}}
defaults: {site: lab, cpus: 2}
vms: {web: {count: 2}, db: {memory: 2 GiB}}
""")


def there(name: str, fleet: str | None = "acme", site: str = "lab", uuid: str = "u", **spec: Any) -> VM:
    mark = Mark(fleet, name) if fleet else None
    return VM(name, site, {"cpus": 2, **spec}, uuid=f"{uuid}-{name}", mark=mark)


def names(plan: FleetPlan) -> dict[str, list[str]]:
    parts = ("create", "change", "unchanged", "delete")
    found = {part: [item.vm.name for item in getattr(plan, part)] for part in parts}
    found["orphans"] = [vm.name for vm in plan.orphans]
    return {part: vms for part, vms in found.items() if vms}


def test_an_empty_site() -> None:
    plan = plan_fleet(FLEET, [])
    assert names(plan) == {"create": ["web-1", "web-2", "db"]}
    assert {step.how for step in plan.steps} == {"create"}


def test_all_of_it() -> None:
    world = [there("web-1"), there("web-2", cpus=4), there("web-3"), there("other", fleet=None),
             there("web-9", fleet="bank")]
    plan = plan_fleet(FLEET, world)
    assert names(plan) == {"create": ["db"], "change": ["web-2"], "unchanged": ["web-1"], "orphans": ["web-3"]}
    assert plan.refused == ()
    assert [step.vm.name for step in plan.steps] == ["db", "web-2"]


def test_orphans_are_deleted_only_when_asked() -> None:
    world = [there("web-3"), there("web-4", protection={"deletion": True}), there("web-9", fleet="bank"),
             there("web-8", fleet=None)]
    assert plan_fleet(FLEET, world).delete == ()
    plan = plan_fleet(FLEET, world, delete=True)
    assert names(plan)["delete"] == ["web-3"]
    assert [change.how for step in plan.delete for change in step.changes] == ["delete"]
    assert [str(error) for error in plan.refused] == [
        ("VM 'web-4' at site 'lab' is not in the fleet file any more and is protected from deletion; it stays. "
         "Put it back into the file and remove the protection in a run of its own, or keep it.")]


def test_a_stranger_of_the_same_name_is_not_touched() -> None:
    plan = plan_fleet(FLEET, [there("web-1", fleet=None), there("db", fleet="bank")])
    assert names(plan) == {"create": ["web-2"]}
    assert [str(error) for error in plan.refused] == [
        ("VM 'web-1' at site 'lab' cannot be made: a VM of that name is there already (u-web-1) and is not Muster's. "
         "It stays as it is: rename one of the two, or adopt it."),
        ("VM 'db' at site 'lab' cannot be made: a VM of that name is there already (u-db) and belongs to fleet "
         "'bank'. It stays as it is: rename one of the two, or adopt it.")]


def test_strangers_of_one_name_are_all_named() -> None:
    theirs = [there("web-1", fleet=None, uuid="a"), there("web-1", fleet="bank", uuid="b")]
    (error,) = plan_fleet(FLEET, theirs).refused
    assert (error.vm, error.site) == ("web-1", "lab")
    assert str(error) == (
        "VM 'web-1' at site 'lab' cannot be made: 2 VMs of that name are there already, a-web-1 (is not Muster's) and "
        "b-web-1 (belongs to fleet 'bank'). They stay as they are: rename this one, or those.")


def test_a_stranger_at_another_site_is_no_hindrance() -> None:
    assert plan_fleet(FLEET, [there("web-1", fleet=None, site="attic")]).refused == ()


def test_a_vm_is_found_by_its_mark_whatever_its_name_is() -> None:
    renamed = replace(there("web-1"), name="renamed-by-hand")
    assert [part.actual for part in plan_fleet(FLEET, [renamed]).unchanged] == [renamed]


def test_twins_are_refused_with_both() -> None:
    plan = plan_fleet(FLEET, [there("db", uuid="a"), there("db", uuid="b", site="attic")])
    assert [str(error) for error in plan.refused] == [
        ("VM 'db' at site 'lab' is there twice: a-db at 'lab' ('db') and b-db at 'attic' ('db') bear its mark. "
         "Both stay as they are: remove the mark of the one that is not meant.")]
    assert "db" not in names(plan).get("create", [])


def test_a_vm_that_two_sites_show_is_one() -> None:
    """Two sites are parts of one vCenter, and somebody moved the VM from the one into the other."""
    both = [there("db", memory=2 << 30, site="attic"), there("db", memory=2 << 30)]
    plan = plan_fleet(FLEET, both)
    assert plan.refused == ()
    assert [part.actual for part in plan.unchanged] == [both[1]]
    orphan = [there("web-3", site="attic"), there("web-3")]
    assert names(plan_fleet(FLEET, orphan, delete=True))["delete"] == ["web-3"]


def test_the_digest_binds_file_and_world() -> None:
    world = [there("web-1"), there("web-2"), there("db", memory=2 << 30)]
    digest = plan_fleet(FLEET, world).digest
    assert plan_fleet(FLEET, list(reversed(world))).digest == digest
    assert plan_fleet(FLEET, [*world, there("other", fleet=None)]).digest == digest
    changed = [
        [there("web-1", cpus=4), *world[1:]],
        [replace(world[0], uuid="another"), *world[1:]],
        [replace(world[0], state={"power": "off"}), *world[1:]],
        world[1:],
        [*world, there("web-3")],
    ]
    assert len({digest, *(plan_fleet(FLEET, seen).digest for seen in changed)}) == 1 + len(changed)
    assert plan_fleet(replace(FLEET, vms=FLEET.vms[:2]), world).digest != digest


def test_the_fingerprint_of_a_vm_forgets_what_does_not_matter() -> None:
    seen = there("web-1")
    assert fingerprint(replace(seen, state={"addresses": ["192.0.2.1"]})) == fingerprint(seen)
    assert fingerprint(replace(seen, uuid="another")) != fingerprint(seen)
