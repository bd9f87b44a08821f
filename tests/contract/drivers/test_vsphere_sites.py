"""vSphere: several sites in one vCenter, each a datacenter, a cluster or a resource pool of it; and an account that is
not shown all of its site."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.driver import Denied, DriverError, NotFound, Template
from muster.drivers.registry import open_site
from muster.drivers.vsphere import site as site_room
from muster.drivers.vsphere.moves import reaches
from muster.drivers.vsphere.placement import Care
from muster.model.fleet import Site, load_fleet
from muster.model.fleet_planner import plan_fleet
from muster.model.normal import normalise
from muster.model.planner import plan
from muster.model.vm import VM, Mark
from pyVmomi import vim
from vsphere_simulator import ACCOUNT, Simulator
from vsphere_site import disk_spec, done, options, past_muster

FLEET = "shop"
FILE = """
fleet: shop
sites: {east: {platform: vsphere}, west: {platform: vsphere}}
vms: {web-1: {site: east}, db-1: {site: east}}
"""


class Vcenter:
    """Two datacenters of two clusters, with a VM of others in each cluster."""

    def __init__(self, simulator: Simulator, folder: Path, certificate: str, doors: contextlib.ExitStack) -> None:
        self.simulator, self.folder, self.certificate, self.doors = simulator, folder, certificate, doors
        self.content = past_muster(simulator)

    def site(self, name: str, path: str = "", **more: Any) -> Any:
        """The driver of a site below `path`."""
        access = options(self.simulator, self.folder, self.certificate)
        driver = open_site(Site(name, "vsphere", {**access, "uri": access["uri"] + path, **more}))
        self.doors.callback(driver.close)
        return driver

    def all(self, kind: Any) -> dict[str, Any]:
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [kind], True)
        return {one.name: one for one in view.view}

    def permit(self, obj: Any, role: str) -> None:
        """From now on the account has this role on an object, and below it."""
        manager = self.content.authorizationManager
        (role_id,) = (one.roleId for one in manager.roleList if one.name == role)
        manager.SetEntityPermissions(obj, [
            vim.AuthorizationManager.Permission(principal=ACCOUNT[0], group=False, roleId=role_id, propagate=True)])


@pytest.fixture
def vcenter(pve_pki: tuple[str, str], tmp_path: Path) -> Iterator[Vcenter]:
    simulator = Simulator(tmp_path / "datastores", *pve_pki, machines=1, datacenters=2, clusters=2)
    with contextlib.ExitStack() as doors:
        doors.callback(simulator.stop)
        yield Vcenter(simulator, tmp_path, pve_pki[0], doors)


def made(driver: Any, name: str, **spec: Any) -> VM:
    """A VM of the fleet, made at a site."""
    wanted = VM(name, driver.site, normalise({"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}], **spec}))
    vm: VM = driver.create(wanted, Mark(FLEET, name, "op-1"), None)
    return vm


def names(driver: Any) -> list[str]:
    return sorted(vm.name for vm in driver.list())


def move(vcenter: Vcenter, vm: VM, host: str, pool: str) -> None:
    """Somebody else moves a VM to another cluster."""
    (obj,) = (one for name, one in vcenter.all(vim.VirtualMachine).items() if name == vm.name)
    hosts, pools = vcenter.all(vim.HostSystem), vcenter.all(vim.ComputeResource)
    done(obj.RelocateVM_Task(vim.vm.RelocateSpec(host=hosts[host], pool=pools[pool].resourcePool), "defaultPriority"))


@pytest.mark.parametrize(("path", "expected"), [
    ("", ["DC0_C0_RP0_VM0", "DC0_C1_RP0_VM0", "DC1_C0_RP0_VM0", "DC1_C1_RP0_VM0"]),
    ("/DC0", ["DC0_C0_RP0_VM0", "DC0_C1_RP0_VM0"]),
    ("/DC1/DC1_C1", ["DC1_C1_RP0_VM0"]),
])
def test_a_site_has_the_vms_of_what_its_uri_names(vcenter: Vcenter, path: str, expected: list[str]) -> None:
    site = vcenter.site("a", path)
    assert names(site) == expected
    survey = site.survey(site.list())
    clusters = {name.rpartition("_")[0] for name in expected}
    assert {host.name.rpartition("_")[0] for host in survey.hosts} == {one.removesuffix("_RP0") for one in clusters}
    centers = sorted({name.partition("_")[0] for name in expected})
    titles = [f"LocalDS_0 in {center}" for center in centers] if len(centers) > 1 else ["LocalDS_0"]
    assert [pool.name for pool in survey.pools] == titles


@pytest.mark.parametrize("named", [True, False])
def test_datastores_of_one_name_are_told_apart_and_those_of_a_newcomer_are_looked_at(
    vcenter: Vcenter, named: bool
) -> None:
    """Nothing there is Muster's; where the site names no datastore, those that the VMs lie in are."""
    site = vcenter.site("a", pool="LocalDS_0" if named else None)
    more = disk_spec(3 << 20, 9, "LocalDS_0")
    more.device.controllerKey = 1000
    done(vcenter.all(vim.VirtualMachine)["DC1_C1_RP0_VM0"].ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[more])))
    disks = {vm.name: sum(disk["size"] for disk in vm["disks"]) for vm in site.list()}
    assert {pool.name: pool.promised for pool in site.survey(site.list()).pools} == {
        "LocalDS_0 in DC0": disks["DC0_C0_RP0_VM0"] + disks["DC0_C1_RP0_VM0"],
        "LocalDS_0 in DC1": disks["DC1_C0_RP0_VM0"] + disks["DC1_C1_RP0_VM0"],
    }


def add_pool(above: Any, name: str) -> Any:
    """Somebody else makes a resource pool."""
    share = vim.ResourceAllocationInfo(reservation=0, limit=-1, expandableReservation=True,
                                       shares=vim.SharesInfo(level="normal", shares=4000))
    return above.CreateResourcePool(name, vim.ResourceConfigSpec(cpuAllocation=share, memoryAllocation=share))


def test_a_resource_pool_is_a_site(vcenter: Vcenter) -> None:
    root = vcenter.all(vim.ComputeResource)["DC0_C0"].resourcePool
    add_pool(add_pool(root, "gold"), "web")
    made(vcenter.site("web", "/DC0/DC0_C0/gold/web"), "web-1")
    made(vcenter.site("gold", "/DC0/DC0_C0/gold"), "db-1")
    assert names(vcenter.site("web", "/DC0/DC0_C0/gold/web")) == ["web-1"]
    assert names(vcenter.site("gold", "/DC0/DC0_C0/gold")) == ["db-1", "web-1"]
    assert names(vcenter.site("all", "/DC0/DC0_C0")) == ["DC0_C0_RP0_VM0", "db-1", "web-1"]


def test_vms_of_one_name_in_two_datacenters_are_no_twins(vcenter: Vcenter) -> None:
    east, west = vcenter.site("east", "/DC0/DC0_C0"), vcenter.site("west", "/DC1/DC1_C0")
    here, there = made(east, "web-1"), made(west, "web-1")
    assert here.uuid != there.uuid
    assert (east.get("web-1").uuid, west.get("web-1").uuid) == (here.uuid, there.uuid)
    east.delete(east.get("web-1"))
    assert "web-1" not in names(east)
    assert "web-1" in names(west)


def test_a_vm_that_was_moved_out_of_its_site_is_still_its_own(vcenter: Vcenter) -> None:
    """Both the one that was made there and the one that was adopted, whose identity is not derived from its site."""
    east = vcenter.site("east", "/DC0/DC0_C0")
    vm = made(east, "web-1")
    adopted = east.adopt(east.get("DC0_C0_RP0_VM0"), Mark(FLEET, "db-1"))
    for one in (vm, adopted):
        move(vcenter, one, "DC0_C1_H0", "DC0_C1")
    assert {one.uuid: one["zone"] for one in east.list()} == {vm.uuid: "DC0_C1", adopted.uuid: "DC0_C1"}
    west = vcenter.site("west", "/DC0/DC0_C1")  # which shows them too, and a fleet of both takes them for one
    fleet = load_fleet(FILE)
    planned = plan_fleet(fleet, [*east.list(), *west.list()])
    assert (planned.refused, planned.create, [part.actual.site for part in planned.unchanged if part.actual]) == (
        (), (), ["east", "east"])
    assert made(east, "web-1").uuid == vm.uuid  # and it is not made a second time
    assert list(vcenter.all(vim.VirtualMachine)).count("web-1") == 1


def test_a_template_of_the_site_goes_before_one_of_its_name_elsewhere(vcenter: Vcenter) -> None:
    for center, cluster in (("DC0", "DC0_C0"), ("DC1", "DC1_C0")):
        vm = vcenter.all(vim.VirtualMachine)[f"{cluster}_RP0_VM0"]
        done(vm.Rename_Task("debian"))
        vm.MarkAsTemplate()
        assert vm.config.template, center
    site = vcenter.site("west", "/DC1/DC1_C0")
    wanted = VM("web-1", "west", normalise({"cpus": 1, "memory": "32 MiB", "disks": [{"size": "10 GiB"}]}))
    assert site.create(wanted, Mark(FLEET, "web-1", "op-1"), Template("debian", "debian"))["zone"] == "DC1_C0"
    wanted, whole = VM("web-2", "whole", {**wanted.spec, "zone": "DC1_C0"}), vcenter.site("whole")
    with pytest.raises(DriverError, match="2 templates are called 'debian'"):
        whole.create(wanted, Mark(FLEET, "web-2", "op-1"), Template("debian", "debian"))


@pytest.mark.parametrize(("path", "words"), [
    ("/DC9", r"its account is shown no datacenter 'DC9' there \(did you mean 'DC[01]'\).*site's uri"),
    ("/DC0/DC1_C0", r"no cluster 'DC1_C0' there \(did you mean 'DC0_C0'\).*site's uri"),
    ("/DC0/DC0_C0/gold", "no resource pool 'gold' there.*site's uri"),
])
def test_a_uri_that_names_nothing_is_no_empty_site(vcenter: Vcenter, path: str, words: str) -> None:
    site = vcenter.site("east", path)
    with pytest.raises(NotFound, match=words):
        site.list()


def test_an_account_that_is_not_shown_the_folder_of_its_vms(vcenter: Vcenter) -> None:
    """vCenter would list nothing, and each VM would count as gone."""
    folder = vcenter.all(vim.Datacenter)["DC0"].vmFolder
    folder.CreateFolder("shop")
    tenant = next(one for one in folder.childEntity if one.name == "shop")
    vcenter.permit(folder, "NoAccess")
    for call in (lambda site: site.list(), lambda site: site.get("web-1")):
        with pytest.raises(Denied, match=r"may not look into the folder of VMs 'vm' \(System.Read\).*Read-only"):
            call(vcenter.site("east", "/DC0"))
    assert names(vcenter.site("west", "/DC1")) == ["DC1_C0_RP0_VM0", "DC1_C1_RP0_VM0"]
    with pytest.raises(Denied, match="the folder of VMs 'shop'"):
        vcenter.site("east", "/DC0", folder="shop").list()
    vcenter.permit(tenant, "ReadOnly")
    vcenter.site("east", "/DC0", folder="shop").list()
    with pytest.raises(NotFound, match=r"no folder of VMs 'ship'.*shop"):
        vcenter.site("east", "/DC0", folder="ship").list()


def rules(vcenter: Vcenter, cluster: str) -> dict[str, list[str]]:
    found = vcenter.all(vim.ComputeResource)[cluster].configurationEx.rule
    return {rule.name: [vm.name for vm in rule.vm] for rule in found}


@pytest.mark.parametrize("after", [{"zone": "DC0_C1"}, {"host": "DC0_C1_H2"}, {"zone": "DC0_C1", "host": "DC0_C1_H1"},
                                   {"zone": "DC0_C1", "resource_pool": "gold"}])
def test_another_cluster(vcenter: Vcenter, after: dict[str, str]) -> None:
    """The VM moves while it runs, and the promises of its cluster are made anew; it lands in the pool that it names."""
    for name in ("DC0_C0", "DC0_C1"):
        add_pool(vcenter.all(vim.ComputeResource)[name].resourcePool, "gold")
    pool = {key: name for key, name in after.items() if key == "resource_pool"}
    site = vcenter.site("east", "/DC0")
    cared = {"anti_affinity": "web", "ha_priority": "high"}
    nic = {"nics": [{"network": "DC0_DVPG0"}]}
    site.power(made(site, "web-1", zone="DC0_C0", **cared, **nic, **pool), "on")
    spec = normalise({"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}], "tags": {"a": "1"}, **cared, **nic,
                      **after})
    desired = VM("web-1", "east", spec, mark=Mark(FLEET, "web-1"))
    site.check(desired)
    changes = plan(desired, site.get("web-1"), site.refine)
    assert {change.how for change in changes} == {"live", "mark"}
    now = site.apply(desired, site.get("web-1"), changes)
    assert (now["zone"], now.power, {key: now[key] for key in after}) == ("DC0_C1", "on", after)
    assert plan(desired, site.get("web-1"), site.refine) == []
    assert (rules(vcenter, "DC0_C0"), rules(vcenter, "DC0_C1")) == ({}, {f"muster.{FLEET}.web": ["web-1"]})


def test_a_cluster_that_the_vm_cannot_be_moved_to(vcenter: Vcenter) -> None:
    site = vcenter.site("whole")
    vm = made(site, "web-1", zone="DC0_C0")
    for after in ({"zone": "DC1_C0"}, {"host": "DC1_C0_H0"}):
        desired = VM("web-1", "whole", {**vm.spec, "host": None, "zone": None, **after}, mark=vm.mark)
        assert [change.how for change in plan(desired, site.get("web-1"), site.refine)] == ["replace"]


@pytest.mark.parametrize(("spec", "reached"), [
    ({}, True),
    ({"disks": [{"pool": "shared"}], "nics": [{"network": "lan"}]}, True),
    ({"disks": [{"pool": "shared"}, {"pool": "local"}]}, False),
    ({"nics": [{"network": "dmz"}]}, False),
])
def test_a_move_takes_datastores_and_networks_that_both_clusters_have(spec: dict[str, Any], reached: bool) -> None:
    here = site_room.Cluster("a", "dc", None, {"a1": 1}, {"shared": 1, "local": 2}, {"lan": 1, "dmz": 2}, Care(), {}, 0)
    there = site_room.Cluster("b", "dc", None, {"b1": 2}, {"shared": 1}, {"lan": 1}, Care(), {}, 0)
    places = site_room.Places(None, [here, there])  # type: ignore[arg-type]
    assert reaches(places, VM("x", "vc", {"host": "a1", **spec}), VM("x", "vc", {"zone": "b"})) is reached
    assert reaches(places, VM("x", "vc", {"host": "a1", **spec}), VM("x", "vc", {"zone": "a"}))
