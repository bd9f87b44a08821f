"""vSphere: what a cluster promises of its VMs, written as rules of DRS and overrides of HA; those of others stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from muster.drivers.driver import Conflict, Denied, Failed, NotFound, Template, Unsupported
from muster.drivers.registry import open_site
from muster.model.fleet import Site
from muster.model.vm import VM, Mark
from pyVmomi import vim
from vsphere_site import VsphereWorld, done, on_vsphere

pytestmark = on_vsphere
DISK: dict[str, Any] = {"disks": [{"size": "1 MiB"}]}


def cluster(world: VsphereWorld) -> Any:
    (datacenter,) = (one for one in world.content.rootFolder.childEntity if isinstance(one, vim.Datacenter))
    return datacenter.hostFolder.childEntity[0]


def configure(world: VsphereWorld, **fields: Any) -> None:
    """Somebody else configures the cluster."""
    done(cluster(world).ReconfigureComputeResource_Task(vim.cluster.ConfigSpecEx(**fields), True))


def rules(world: VsphereWorld) -> dict[str, list[str]]:
    """Name → the VMs of each rule."""
    return {rule.name: sorted(vm.name for vm in rule.vm) for rule in cluster(world).configurationEx.rule}


def theirs(world: VsphereWorld, name: str, *vms: VM, kind: Any = vim.cluster.AntiAffinityRuleSpec, on: bool = True
           ) -> None:
    info = kind(name=name, enabled=on, vm=[world.inside(vm) for vm in vms])
    configure(world, rulesSpec=[vim.cluster.RuleSpec(operation="add", info=info)])


def change(world: VsphereWorld, vm: VM, **spec: Any) -> VM:
    desired = world.wanted(vm.name.rpartition("-")[2], **DISK, **spec)
    now = world.driver.apply(desired, world.driver.get(vm.name), world.changes(desired))
    assert world.changes(desired) == []
    return now


def test_a_group_is_joined_left_and_gone_with_its_last_vm(world: VsphereWorld) -> None:
    foreign = world.foreign()
    theirs(world, "theirs", foreign)
    of = f"muster.{world.fleet}"
    a, b = world.made("a", anti_affinity="web"), world.made("b")
    assert rules(world) == {"theirs": [foreign.name], f"{of}.web": [a.name]}
    assert change(world, b, anti_affinity="web")["anti_affinity"] == "web"
    assert rules(world)[f"{of}.web"] == [a.name, b.name]
    change(world, a, anti_affinity="db")  # out of one and into the other at once
    assert rules(world) == {"theirs": [foreign.name], f"{of}.web": [b.name], f"{of}.db": [a.name]}
    world.driver.delete(world.driver.get(a.name))
    world.driver.delete(world.driver.get(b.name))
    assert rules(world) == {"theirs": [foreign.name]}


def test_rules_of_others_are_never_written(world: VsphereWorld) -> None:
    """Not those that hold our VM, and not those of a fleet whose name begins as ours does."""
    vm = world.made("a")
    for name in ("web", f"muster.{world.fleet}x.web", f"{world.fleet}.web", f"muster.{world.fleet}"):
        theirs(world, name, vm)
    before = rules(world)
    change(world, vm, anti_affinity="web")
    mine = {f"muster.{world.fleet}.web": [vm.name]}
    assert rules(world) == {**before, **mine}
    world.driver.delete(world.driver.get(vm.name))
    assert {rule.name for rule in cluster(world).configurationEx.rule} == before.keys()


def test_a_rule_that_somebody_made_is_seen_by_rules_and_no_plan_touches_it(world: VsphereWorld) -> None:
    foreign, vm = world.foreign(), world.made("a")
    theirs(world, "apart", foreign, vm)
    theirs(world, "together", foreign, vm, kind=vim.cluster.AffinityRuleSpec)
    for one in (world.driver.get(str(foreign.uuid)), world.driver.get(vm.name)):
        assert (one["anti_affinity"], one.document()["anti_affinity"]) == (None, "apart")
    assert world.changes(world.wanted("a", **DISK)) == []


@pytest.mark.parametrize("how", ["taken out", "turned off", "put into a second"])
def test_drift_of_a_rule_is_seen_and_mended(world: VsphereWorld, how: str) -> None:
    a, _b = world.made("a", anti_affinity="web"), world.made("b", anti_affinity="web")
    (rule,) = cluster(world).configurationEx.rule
    if how == "put into a second":
        theirs(world, f"muster.{world.fleet}.db", a)
    else:
        if how == "taken out":
            rule.vm = [one for one in rule.vm if one.name != a.name]
        rule.enabled = how != "turned off"
        configure(world, rulesSpec=[vim.cluster.RuleSpec(operation="edit", info=rule)])
    assert [one.field for one in world.changes(world.wanted("a", **DISK, anti_affinity="web"))] == ["anti_affinity"]
    change(world, a, anti_affinity="web")
    assert rules(world) == {rule.name: [f"{world.names}-a", f"{world.names}-b"]}


def test_a_rule_of_another_kind_in_the_way(world: VsphereWorld) -> None:
    foreign = world.foreign()
    theirs(world, f"muster.{world.fleet}.web", foreign, kind=vim.cluster.AffinityRuleSpec)
    before = world.picture()
    with pytest.raises(Conflict, match=r"another kind of rule that is called .*; it was left as it is"):
        world.made("a", anti_affinity="web")
    assert world.picture() == before


def test_priority_is_the_cluster_s_own_until_another_is_asked_for(world: VsphereWorld) -> None:
    vm = world.made("a", ha_priority="medium")
    assert vm["ha_priority"] == "medium"
    assert cluster(world).configurationEx.dasVmConfig == []
    for priority in ("high", "disabled", "medium"):
        assert change(world, vm, ha_priority=priority)["ha_priority"] == priority
        (override,) = cluster(world).configurationEx.dasVmConfig
        assert (override.key.name, override.dasSettings.restartPriority) == (vm.name, priority)
    assert world.made("b", ha_priority="low")["ha_priority"] == "low"


def test_other_settings_of_an_override_stay(world: VsphereWorld) -> None:
    vm = world.made("a")
    settings = vim.cluster.DasVmSettings(restartPriority="lowest", isolationResponse="shutdown")
    info = vim.cluster.DasVmConfigInfo(key=world.inside(vm), dasSettings=settings)
    configure(world, dasVmConfigSpec=[vim.cluster.DasVmConfigSpec(operation="add", info=info)])
    assert world.driver.get(vm.name)["ha_priority"] == "low"
    change(world, vm, ha_priority="high")
    (override,) = cluster(world).configurationEx.dasVmConfig
    assert (override.dasSettings.restartPriority, override.dasSettings.isolationResponse) == ("high", "shutdown")


@pytest.mark.parametrize(("off", "spec", "words"), [
    ({"drsConfig": vim.cluster.DrsConfigInfo(enabled=False)}, {"anti_affinity": "web"}, "DRS is off in 'DC0_C0'"),
    ({"dasConfig": vim.cluster.DasConfigInfo(enabled=False)}, {"ha_priority": "low"}, "vSphere HA is off in 'DC0_C0'"),
    ({}, {"anti_affinity": "w" * 63}, "a name of more than 80 characters"),
])
def test_what_the_cluster_does_not_keep_is_refused(
    world: VsphereWorld, off: dict[str, Any], spec: dict[str, Any], words: str
) -> None:
    vm = world.made("a", **({} if "w" in words[:2] else spec) if off else {})
    configure(world, **off)
    driver = open_site(world.access)
    try:
        with pytest.raises(Unsupported, match=f"{next(iter(spec))}' cannot be honoured: .*{words}"):
            driver.check(VM(vm.name, "vc", {**world.wanted("a").spec, **spec}, mark=Mark("f" * 12, vm.name)))
        (seen,) = driver.list()
        assert seen["anti_affinity"] is None
        assert seen["ha_priority"] == ("disabled" if "ha_priority" in spec else "medium")
        driver.check(world.wanted("a", ha_priority="disabled"))
    finally:
        driver.close()


def test_a_copy_goes_where_it_is_told_and_not_where_its_source_is(world: VsphereWorld) -> None:
    world.template()
    desired = world.wanted("a", **DISK, anti_affinity="web", ha_priority="high")
    vm = world.driver.create(desired, world.mark(desired), Template("debian-12", "debian"))
    assert (vm["anti_affinity"], vm["ha_priority"]) == ("web", "high")
    other = world.driver.clone(vm, world.wanted("b", **DISK), world.mark(world.wanted("b")))
    assert (other["anti_affinity"], other["ha_priority"]) == (None, "medium")
    twin = world.wanted("c", **DISK, anti_affinity="web", ha_priority="high")
    made = world.driver.create(twin, Mark(f"{world.fleet}/drill", twin.name), None)
    assert (made["anti_affinity"], made["ha_priority"]) == (None, "medium")


@pytest.mark.parametrize("shown", ["not there", "denied"])
def test_a_vm_whose_cluster_the_account_is_not_shown_can_be_deleted(world: VsphereWorld, shown: str) -> None:
    """Its rule is out of reach then, and that is told. To join one it must be shown."""
    vm = world.made("a", **DISK, anti_affinity="web")
    driver: Any = world.driver
    properties = driver.session.properties

    def hidden(objects: Any, paths: Any, *more: Any) -> Any:
        if list(paths) == ["parent"] and shown == "denied":
            raise Denied("unable to read the VM's cluster: NoPermission", site="vc")
        return [] if list(paths) == ["parent"] else properties(objects, paths, *more)

    driver.session.properties = hidden
    other = world.wanted("b", **DISK, anti_affinity="web")
    with pytest.raises((NotFound, Denied), match=r"unable to read (its|the VM's) cluster"):
        driver.create(other, world.mark(other), None)
    said: list[str] = []
    driver.delete(vm, said.append)
    assert [one.name for one in driver.list()] == []
    assert any("rules of its cluster stay as they are" in text for text in said)


def test_a_failed_making_leaves_no_rule(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from muster.drivers.vsphere import build

    def broken(*_arguments: Any, **_fields: Any) -> None:
        raise Failed("planted", site="vc")

    before = world.picture()
    monkeypatch.setattr(build, "reconfigure", broken)
    with pytest.raises(Failed, match="planted"):
        world.made("a", anti_affinity="web")
    assert (world.picture(), rules(world)) == (before, {})


def test_two_sessions_that_write_one_rule(world: VsphereWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else overwrites the rule between our reading and our last look: it is written again."""
    world.made("a", anti_affinity="web")
    (rule,) = cluster(world).configurationEx.rule
    original = vim.ClusterComputeResource.ReconfigureComputeResource_Task
    lost: list[int] = []

    def overwritten(obj: Any, spec: Any, modify: bool) -> Any:
        task = original(obj, spec, modify)
        if not lost:
            lost.append(1)
            original(cluster(world), vim.cluster.ConfigSpecEx(rulesSpec=[
                vim.cluster.RuleSpec(operation="edit", info=rule)]), True)
        return task

    monkeypatch.setattr(vim.ClusterComputeResource, "ReconfigureComputeResource_Task", overwritten)
    world.made("b", anti_affinity="web")
    assert lost
    assert rules(world) == {rule.name: [f"{world.names}-a", f"{world.names}-b"]}


def test_vms_are_made_in_the_pool_of_the_uri_and_stay_there_when_they_move(world: VsphereWorld) -> None:
    world.template()
    uri = f"https://{world.simulator.address}/DC0/DC0_C0/gold"
    driver = open_site(Site("vc", "vsphere", {**world.access.options, "uri": uri}))
    try:
        desired = world.wanted("a", **DISK)
        vm = driver.create(desired, world.mark(desired), Template("debian-12", "debian"))
        assert world.inside(vm).resourcePool == world.gold
        other = next(name for name in ("DC0_C0_H0", "DC0_C0_H1") if name != vm["host"])
        moved = world.wanted("a", **DISK, host=other)
        assert driver.apply(moved, vm, world.changes(moved))["host"] == other
        assert world.inside(vm).resourcePool == world.gold
    finally:
        driver.close()


def test_another_host_leaves_a_vm_in_the_pool_that_somebody_put_it_into(world: VsphereWorld) -> None:
    """With the pool it would lose its shares, limits and reservations there."""
    vm = world.made("a", **DISK)
    done(world.inside(vm).RelocateVM_Task(vim.vm.RelocateSpec(pool=world.gold), "defaultPriority"))
    moved = world.wanted("a", **DISK, host=next(name for name in ("DC0_C0_H0", "DC0_C0_H1") if name != vm["host"]))
    assert world.driver.apply(moved, vm, world.changes(moved))["host"] == moved["host"]
    assert world.inside(vm).resourcePool == world.gold


def test_vms_are_made_in_the_pool_that_they_name_and_moved_back_into_it(world: VsphereWorld) -> None:
    web = world.gold.resourcePool[0]
    world.template()
    for name, image in (("a", None), ("b", Template("debian-12", "debian"))):
        desired = world.wanted(name, **DISK, resource_pool="gold/web")
        vm = world.driver.create(desired, world.mark(desired), image)
        assert (vm["resource_pool"], world.inside(vm).resourcePool) == ("gold/web", web)
    world.root.MoveIntoResourcePool([world.inside(vm)])
    assert world.driver.again(vm)["resource_pool"] == ""
    assert [change.field for change in world.changes(desired)] == ["resource_pool"]
    assert world.changes(world.wanted("b", **DISK)) == []  # where nobody asks for one
    other = next(name for name in ("DC0_C0_H0", "DC0_C0_H1") if name != vm["host"])
    assert change(world, vm, resource_pool="gold/web", host=other)["host"] == other
    assert world.inside(vm).resourcePool == web


@pytest.mark.parametrize(("own", "pool", "words"), [
    ("", "gold/wbe", r"the cluster 'DC0_C0' has no resource pool 'gold/wbe' \(did you mean 'gold/web'\); nothing was"),
    ("", "Resources", "has no resource pool 'Resources'"),
    ("/DC0/DC0_C0/gold", "silver", "no resource pool of the site, which is 'gold' and what is below, by the path 's"),
    ("/DC0/DC0_C0/gold", "gold", ""),
    ("/DC0/DC0_C0/gold", "gold/web", ""),
])  # fmt: skip
def test_a_pool_that_is_not_the_sites(world: VsphereWorld, own: str, pool: str, words: str) -> None:
    driver = open_site(Site("vc", "vsphere", {**world.access.options, "uri": world.access["uri"] + own}))
    desired = world.wanted("a", **DISK, resource_pool=pool)
    before = world.picture()
    try:
        if not words:
            driver.check(desired)
            assert driver.create(desired, world.mark(desired), None)["resource_pool"] == pool
            return
        with pytest.raises(Conflict, match=words):
            driver.check(desired)
    finally:
        driver.close()
    assert world.picture() == before


def test_a_vm_of_a_vapp_tells_no_pool_and_stays_there(world: VsphereWorld) -> None:
    config = world.gold.config
    spec = vim.ResourceConfigSpec(cpuAllocation=config.cpuAllocation, memoryAllocation=config.memoryAllocation)
    app = world.gold.CreateVApp("shop", spec, vim.vApp.VAppConfigSpec(), None)
    vm = world.made("a", **DISK, resource_pool="gold")
    desired = world.wanted("a", **DISK, resource_pool="gold/web")
    changes = world.changes(desired)
    world.into_app(vm, app)
    assert world.driver.again(vm)["resource_pool"] is None
    assert world.changes(desired) == []
    with pytest.raises(Conflict, match="it is in a vApp, which it would leave; it was left there"):
        world.driver.apply(desired, vm, changes)


def into(world: VsphereWorld, folder: str) -> Any:
    """A driver of a site that names a folder."""
    return open_site(Site("vc", "vsphere", {**world.access.options, "folder": folder}))


def test_vms_are_made_in_the_folder_of_the_site_and_found_wherever_they_are_moved(world: VsphereWorld) -> None:
    web, other = world.folders("shop", "web"), world.folders("archive")
    web.Rename("web/1")
    world.template()
    with pytest.raises(Conflict, match="there is no folder"):  # a slash of a name is none of the path
        into(world, "shop/web/1").check(world.wanted("a", **DISK))
    web.Rename("web")
    driver = into(world, "shop/web")
    try:
        empty, copied, cloned = (world.wanted(name, **DISK) for name in "abc")
        made = [driver.create(empty, world.mark(empty), None),
                driver.create(copied, world.mark(copied), Template("debian-12", "debian"))]  # fmt: skip
        made.append(driver.clone(made[0], cloned, world.mark(cloned)))
        assert [world.inside(vm).parent for vm in made] == [web, web, web]
        done(other.MoveIntoFolder_Task([world.inside(vm) for vm in made]))
        made = [replace(vm, spec={**vm.spec, "folder": "archive"}) for vm in made]
        assert [driver.get(str(vm.uuid)) for vm in made] == made
        assert [world.changes(desired) for desired in (empty, copied, cloned)] == [[], [], []]
        assert driver.create(empty, world.mark(empty), None) == made[0]  # a retry makes no second one in the folder
        more = world.wanted("a", **DISK, cpus=2)
        assert driver.apply(more, made[0], world.changes(more))["cpus"] == 2
        assert world.inside(made[0]).parent == other
        driver.delete(made[0])
        assert len(world.driver.list()) == 2
    finally:
        driver.close()


def test_vms_are_made_in_the_folder_that_they_name_and_moved_back_into_it(world: VsphereWorld) -> None:
    web, other = world.folders("shop", "web"), world.folders("archive")
    world.template()
    driver = into(world, "archive")
    try:
        for name, image in (("a", None), ("b", Template("debian-12", "debian"))):
            desired = world.wanted(name, **DISK, folder="shop/web")
            vm = driver.create(desired, world.mark(desired), image)
            assert (vm["folder"], world.inside(vm).parent) == ("shop/web", web)
        copy = world.wanted("c", **DISK)  # it is no part of a copy
        assert world.inside(driver.clone(vm, copy, world.mark(copy))).parent == other
        done(other.MoveIntoFolder_Task([world.inside(vm)]))
        assert [(change.field, change.before) for change in world.changes(desired)] == [("folder", "archive")]
        assert change(world, vm, folder="shop/web")["folder"] == "shop/web"
        assert world.inside(vm).parent == web
        missing = world.wanted("b", **DISK, folder="shop/wbe")
        with pytest.raises(Conflict, match=r"no folder of VMs 'shop/wbe' \(did you mean 'web'\)") as caught:
            driver.check(missing)
        assert "Mend its folder" in str(caught.value.todo)
    finally:
        driver.close()


@pytest.mark.parametrize(("folder", "words"), [
    ("shop/wbe", r"no folder of VMs 'shop/wbe' \(did you mean 'web'\); nothing was changed"),
    ("web", "no folder of VMs 'web'"),
    ("shop/web/deep", "no folder of VMs 'shop/web/deep'"),
])  # fmt: skip
def test_a_folder_that_is_not_there(world: VsphereWorld, folder: str, words: str) -> None:
    before = world.picture()
    driver = into(world, folder)
    desired = world.wanted("a", **DISK)
    try:
        with pytest.raises(Conflict, match=words) as caught:
            driver.check(desired)
        assert "Mend sites.vc.folder" in str(caught.value.todo)
        with pytest.raises(NotFound, match=words):
            driver.create(desired, world.mark(desired), None)
    finally:
        driver.close()
    assert world.picture() == before


@pytest.mark.parametrize("made_of", ["nothing", "a template", "a copy"])
def test_where_drs_is_off_a_host_is_chosen(world: VsphereWorld, made_of: str) -> None:
    """vCenter refuses a VM without a host there; the VMs are spread, and hosts in maintenance get none."""
    hosts = {host.name: host for host in cluster(world).host}
    done(hosts["DC0_C0_H1"].EnterMaintenanceMode_Task(0, False))
    source = world.made("source", **DISK)
    image = None
    if made_of == "a template":
        world.template()
        image = Template("debian", "debian")
    configure(world, drsConfig=vim.cluster.DrsConfigInfo(enabled=False))
    world.driver = open_site(world.access)
    spec = {**DISK, "memory": "1 GiB"}
    found = []
    for name in "abcd":
        desired = world.wanted(name, **spec)
        if made_of == "a copy":
            found.append(world.driver.clone(source, desired, world.mark(desired)))
        else:
            found.append(world.driver.create(desired, world.mark(desired), image))
    assert sorted(str(vm["host"]) for vm in found) == ["DC0_C0_H0", "DC0_C0_H0", "DC0_C0_H2", "DC0_C0_H2"]
