"""``muster inspect``: what matters at a site that never heard of Muster; it is read and left as it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from fakepve.shapes import ROLES
from libvirt_site import LibvirtWorld, real
from muster.command.main import main
from muster.model.vm import VM
from muster.policy import load_rules
from plays import play, run
from proxmox_fake import TOKEN, archive_name
from proxmox_site import ProxmoxWorld, on_proxmox
from pyVmomi import vim
from sites import World
from test_vsphere_tags import Tagging, attribute
from vsphere_proxy import Proxy
from vsphere_site import VsphereWorld, done, on_vsphere

# All that a vCenter is asked; a session and a view are of the one who asks, and end with him.
READING = {
    "RetrieveServiceContent", "Login", "Logout", "CreateContainerView", "DestroyView", "RetrievePropertiesEx",
    "HasPrivilegeOnEntities",
    "ContinueRetrievePropertiesEx", "POST session", "DELETE session", "GET tagging/category", "GET tagging/tag/id",
    "GET tagging/category/id", "POST tagging/tag-association?~action=list-attached-tags-on-objects",
}  # fmt: skip
OLD = int(time.time()) - 40 * 86400


@pytest.fixture
def sites(world: World, tmp_path: Path) -> Path:
    """A file that names the site and no VM."""
    path = tmp_path / "sites.yml"
    site = {"platform": world.access.platform, **world.access.options}
    path.write_text(yaml.safe_dump({"fleet": "day-one", "sites": {world.access.name: site}}))
    return path


def inspect(sites: Path, world: World, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = main(["inspect", "--site", world.access.name, "--fleet", str(sites), "--format", "json", *more])
    out, err = capsys.readouterr()
    assert err == ""
    return code, json.loads(out)


def outcomes(document: dict[str, Any], vm: str) -> dict[str, str]:
    return {one["rule"]: one["outcome"] for one in document["compliance"]["findings"] if one["vm"] == vm}


def backed_up(world: ProxmoxWorld, vm: VM, when: int) -> None:
    """Somebody's backup of a VM, in the storage for files."""
    volume = {"content": "backup", "format": "vma.zst", "size": 1 << 30, "vmid": world.inside(vm).vmid, "ctime": when}
    world.fake.storages["local"].setdefault("volumes", {})[archive_name(volume["vmid"], when)] = volume


def test_every_vm_is_judged_and_left_as_it_is(world: World, sites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = world.foreign()
    before = world.picture()
    code, document = inspect(sites, world, capsys)
    assert code == 0, "a report is no gate"
    assert foreign.name in {vm["name"] for vm in document["vms"]}
    # Where tags live in another service than VMs, or nobody wrote one that could be an owner, nobody can say.
    asked = world.access.platform == "libvirt"
    assert outcomes(document, foreign.name)["tag-owner"] == ("fail" if asked else "unknown")
    assert document["compliance"]["packs"] == ["muster/inspect"]
    assert world.picture() == before
    assert inspect(sites, world, capsys, "--fail-on", "low")[0] == 1


def by_command(sites: Path, world: World, folder: Path) -> dict[str, Any]:
    """The report of ``muster inspect``."""
    report = folder / "report.json"
    argv = ["inspect", "--site", world.access.name, "--fleet", str(sites), "--format", "json", "--output", str(report)]
    assert main(argv) == 0
    return cast(dict[str, Any], json.loads(report.read_text()))


def by_playbook(sites: Path, _world: World, folder: Path) -> dict[str, Any]:
    """That of the playbook, which changes nothing."""
    ran = run("ansible-playbook", "muster.fleet.inspect", "-i", "localhost,", "-e",
              json.dumps({"fleet_file": str(sites), "report_dir": str(folder / "report")}))
    assert ran.code == 0, ran.output
    assert "changed=0" in ran.output
    assert "No VM outside production is kept switched off" in " ".join(ran.output.split())
    return cast(dict[str, Any], json.loads((folder / "report/report.json").read_text()))


WAYS = pytest.mark.parametrize("way", [by_command, by_playbook])


@on_vsphere
@WAYS
def test_all_that_reaches_vcenter_is_a_question(
    world: VsphereWorld, sites: Path, tmp_path: Path, pve_pki: tuple[str, str], way: Any
) -> None:
    """On the wire, between Muster and vCenter, with all that there is to be asked about."""
    service = Tagging(world)
    owned, lost = world.foreign("owned"), world.foreign("lost")
    service.attach("Owner", "shop", owned)
    service.connection.close()
    world.foreign_snapshot(lost, "forgotten", "")
    before, proxy = world.picture(), Proxy(world.simulator.address, *pve_pki)
    try:
        sites.write_text(sites.read_text().replace(world.simulator.address, proxy.address))
        document = way(sites, world, tmp_path)
    finally:
        proxy.stop()
    assert [outcomes(document, vm.name).get("tag-owner") for vm in (owned, lost)] == [None, "fail"]
    assert [note.partition(". ")[0] for note in document["notes"]] == ["Not seen at site 'vc': backups"]
    assert set(proxy.calls) <= READING
    assert {"RetrievePropertiesEx", "GET tagging/tag/id"} <= set(proxy.calls), "it was not asked through the proxy"
    assert world.picture() == before


@on_proxmox
@WAYS
def test_all_that_reaches_proxmox_is_a_question(world: ProxmoxWorld, sites: Path, tmp_path: Path, way: Any) -> None:
    """As Proxmox hears it, with all that there is to be asked about."""
    vm = world.foreign("a", scsi0="local-lvm:vm-100-disk-0,size=1G", tags="owner-shop")
    backed_up(world, vm, OLD)
    world.foreign_snapshot(vm, "forgotten", "")
    before = world.picture()
    del world.fake.requests[:]
    document = way(sites, world, tmp_path)
    assert outcomes(document, vm.name)["backup-recent"] == "fail"
    assert {method for method, _path, _body in world.fake.requests} == {"GET"}
    assert world.picture() == before


@on_vsphere
def test_what_backup_products_write_is_evidence(
    world: VsphereWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Tagging(world).connection.close()
    said = {"NB_LAST_BACKUP": "Mon Jan 12 20:15:03 2026", "Last Backup": "12/01/2026 20:15:03", "last backup": "never",
            "Veeam": "Last backup: [1/12/2026 8:15:03 PM]", "Backup": "excluded"}  # fmt: skip
    vms = [world.foreign(f"v{number}") for number in range(len(said))]
    for vm, (name, value) in zip(vms, said.items(), strict=True):
        attribute(world, name, **{vm.name.rpartition("-")[2]: value})
    _code, document = inspect(sites, world, capsys)
    found = [outcomes(document, vm.name).get("backup-known") for vm in vms]
    assert found == [None, None, "unknown", None, "unknown"]
    main(["inspect", "--site", world.access.name, "--fleet", str(sites)])
    assert capsys.readouterr().out.count("Not seen at site 'vc': backups") == 1


@on_proxmox
def test_forgotten_snapshots_and_old_backups_of_others(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, bare = world.foreign("kept", net0="e1000=02:00:00:00:00:01,bridge=vmbr0"), world.foreign("bare")
    inside = world.inside(kept)
    inside.snapshots["forgotten"] = {"snaptime": OLD, "description": "before the migration", "config": {}}
    backed_up(world, kept, OLD)
    del world.fake.requests[:]
    _code, document = inspect(sites, world, capsys)
    assert {method for method, _path, _body in world.fake.requests} == {"GET"}
    assert outcomes(document, kept.name)["snapshots-forgotten"] == "fail"
    assert outcomes(document, kept.name)["backup-recent"] == "fail"
    assert outcomes(document, kept.name)["nic-paravirtual"] == "fail"
    assert "backup-known" not in outcomes(document, kept.name)
    assert outcomes(document, bare.name)["backup-known"] == "fail"


@on_proxmox
def test_tags_of_others_on_proxmox(world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """PVE's tags have no value, so the key is the beginning of one."""
    written = {"a": "owner-shop", "b": "linux;Owner_Web.Team", "c": "owner.shop;x", "d": "web", "e": "owner", "f": ""}
    vms = {name: world.foreign(name, tags=tags) for name, tags in written.items()}
    world.foreign("g", tags="environment-test;cost-center-4711;service+x")
    told = {vm.name.rpartition("-")[2]: vm["tags"] for vm in world.driver.list()}
    assert [told[name] for name in "abc"] == [{"owner": "shop"}, {"owner": "web.team"}, {"owner": "shop"}]
    assert [told[name] for name in "def"] == [{}, {}, {}]
    assert told["g"] == {"environment": "test", "cost_center": "4711", "service": "x"}
    _code, document = inspect(sites, world, capsys)
    found = {name: outcomes(document, vm.name).get("tag-owner") for name, vm in vms.items()}
    assert found == {"a": None, "b": None, "c": None, "d": "fail", "e": "fail", "f": "fail"}


OPEN: dict[str, Any] = {"net0": "virtio=02:00:00:00:00:01,bridge=vmbr0", "args": "-monitor tcp:0:4444", "agent": "0",
                        "hostpci0": "0000:01:00.0,pcie=1", "usb0": "host=1234:5678", "tags": "environment-production"}
SHUT: dict[str, Any] = {"net0": "virtio=02:00:00:00:00:02,bridge=vmbr0,firewall=1", "agent": "1,fstrim_cloned_disks=1",
                        "onboot": 1, "protection": 1, "usb0": "spice,usb3=1", "tags": "environment-production"}


@on_proxmox
def test_a_vm_more_is_two_questions_more(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its configuration and its snapshots: whatever lists all VMs is asked as often for ten as for one."""
    asked = []
    for _vm in range(3):
        world.foreign_snapshot(world.foreign("a"), "forgotten", "")
        del world.fake.requests[:]
        inspect(sites, world, capsys)
        asked.append(len(world.fake.requests))
    assert (asked[1] - asked[0], asked[2] - asked[1]) == (2, 2)


@on_proxmox
def test_settings_of_proxmox(world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vms = [world.foreign(name, **config) for name, config in (("open", OPEN), ("shut", SHUT))]
    for vm in vms:
        world.inside(vm).status = "running"
    _code, document = inspect(sites, world, capsys)
    found = [{rule for rule in outcomes(document, vm.name) if rule.startswith("proxmox-")} for vm in vms]
    assert found == [{rule.id for rule in load_rules(["muster/proxmox-hardening"])}, set()]


@on_proxmox
def test_a_certificate_that_nobody_verifies_is_told(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(sites.read_text())
    document["sites"][world.access.name]["tls"] = {"verify": False}
    sites.write_text(yaml.safe_dump(document))
    main(["inspect", "--site", world.access.name, "--fleet", str(sites)])
    assert "its certificate is not verified (tls.verify is false)" in capsys.readouterr().out


@on_proxmox
def test_a_node_that_does_not_answer_leaves_what_it_has_unknown(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, lost = (world.foreign(name) for name in ("bare", "lost"))
    alike = world.made("alike")  # whose it is cannot be told now, and that ends no report either
    world.foreign_snapshot(bare, "forgotten", "")
    world.fake.add_node("pve2")
    for vm in (lost, alike):
        world.inside(vm).node = "pve2"
    world.fake.set_node_offline("pve2")
    _code, document = inspect(sites, world, capsys)
    assert outcomes(document, bare.name)["backup-known"] == "unknown"
    assert outcomes(document, bare.name)["snapshots-forgotten"] == "fail"
    assert outcomes(document, lost.name)["snapshots-forgotten"] == "unknown"
    assert "fail" not in outcomes(document, lost.name).values(), "nobody saw it"
    main(["inspect", "--site", world.access.name, "--fleet", str(sites)])
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("Not seen") == 2
    assert f"Not seen at site 'pve': snapshots of {world.names}-alike and {world.names}-lost. Unable to " in told
    assert "Not seen at site 'pve': backups and unused disks. The node pve2 does not answer." in told
    assert "No route to host" in told


AUDITOR = ROLES["PVEAuditor"]


@on_proxmox
@pytest.mark.parametrize(
    ("rights", "backup", "disks"),
    [
        ({"/": AUDITOR}, "unknown", "unknown"),
        ({"/": (*AUDITOR, "VM.Backup")}, "unknown", "unknown"),
        ({"/": (*AUDITOR, "VM.Backup", "VM.Config.Disk", "Datastore.AllocateSpace")}, None, "fail"),
        # What is told of a path is all that holds there; an entry of its own hides what is above it.
        ({"/": AUDITOR, "/storage": ("Datastore.Allocate", "Datastore.Audit")}, None, "fail"),
        ({"/": (*AUDITOR, "VM.Backup"), "/storage/local": ("Datastore.AllocateSpace",)}, None, "unknown"),
        ({"/": ("VM.Audit",), "/storage/local-lvm": ("Datastore.Allocate", "Datastore.Audit")}, "unknown", "fail"),
    ],
)
def test_what_a_token_may_not_see_is_unknown(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str],
    rights: dict[str, tuple[str, ...]], backup: str | None, disks: str,
) -> None:
    """Proxmox leaves out each volume that the token has no right to, and does not say so."""
    kept = world.foreign("kept", scsi0="local-lvm:vm-100-disk-0,size=1G")
    backed_up(world, kept, int(time.time()) - 3600)
    world.fake.storages["local-lvm"].setdefault("volumes", {})["vm-999-disk-0"] = {
        "content": "images", "format": "raw", "size": 1 << 30, "vmid": 999}
    for path, privileges in rights.items():
        world.fake.grant(TOKEN[0], path, *privileges)
    _code, document = inspect(sites, world, capsys)
    assert outcomes(document, kept.name).get("backup-known") == backup
    assert outcomes(document, world.access.name).get("orphaned-disks") == disks
    audits = "Sys.Audit" in rights["/"]
    assert outcomes(document, world.access.name).get("host-memory-not-overcommitted") == (None if audits else "unknown")
    main(["inspect", "--site", world.access.name, "--fleet", str(sites)])
    told = " ".join(capsys.readouterr().out.split())
    assert ("Not seen at site 'pve': backups" in told) == (backup == "unknown")
    assert ("VM.Backup" in told) == (backup == "unknown")
    assert ("VM.Config.Disk" in told) == (disks == "unknown")
    assert ("Sys.Audit on /nodes" in told) != audits


@on_proxmox
def test_a_vm_that_goes_meanwhile_ends_no_report(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the report asks, there is a moment at which the VM is gone."""
    kept, ends = world.foreign("kept"), 0
    for at in range(1, 40):
        gone = world.foreign("gone")
        world.fake.trouble.before = {at: lambda vm=gone: world.remove(vm)}
        world.fake.trouble.arm()
        _code, document = inspect(sites, world, capsys)
        assert kept.name in {vm["name"] for vm in document["vms"]}
        if len(world.fake.trouble.calls) < at:
            break
        ends += 1
    assert ends > 10


@real
def test_a_connection_that_may_only_read_is_enough(
    world: LibvirtWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = world.foreign()
    text = sites.read_text()
    assert "qemu:///system" in text
    sites.write_text(text.replace("qemu:///system", "qemu+unix:///system?socket=/run/libvirt/libvirt-sock-ro"))
    _code, document = inspect(sites, world, capsys)
    assert outcomes(document, foreign.name)["tag-owner"] == "fail"


BUSY = {"cpu": 0.5, "mem": 5 << 30}
IDLE = {"cpu": 0.004, "mem": 1 << 30}


@pytest.mark.parametrize("world", ["pve", "vsphere"], indirect=True)
@pytest.mark.parametrize(
    ("use", "days", "found"),
    [
        (BUSY, 8, {}),
        (IDLE, 8, dict.fromkeys(("vm-idle-now", "cpus-oversized-now", "memory-oversized-now"), "fail")),
        ({"cpu": 0.02, "mem": 5 << 30}, 8, {"cpus-oversized-now": "fail"}),
        (IDLE, 6, {}),  # it may have just been started for something
    ],
)
def test_vms_that_do_nothing(
    world: Any, sites: Path, capsys: pytest.CaptureFixture[str],
    use: dict[str, float], days: int, found: dict[str, str],
) -> None:
    world.runs(world.foreign("a"), {**use, "uptime": days * 86400}, cpus=4, memory=8 << 30)
    _code, document = inspect(sites, world, capsys)
    told = outcomes(document, f"{world.names}-a")
    assert {rule: outcome for rule, outcome in told.items() if rule.endswith("-now")} == found


SINGLE = ("clusters-several-hosts", "clusters-ha", "pools-shared")


@on_proxmox
@pytest.mark.parametrize(
    ("nodes", "shared", "ha", "failed"),
    [
        (1, False, False, {"clusters-several-hosts"}),
        (2, False, False, {"clusters-ha", "pools-shared"}),
        (2, True, False, {"clusters-ha"}),
        (2, True, True, set()),
    ],
)
def test_single_points_of_failure(
    world: ProxmoxWorld, sites: Path, capsys: pytest.CaptureFixture[str],
    nodes: int, shared: bool, ha: bool, failed: set[str],
) -> None:
    vm = world.foreign("a", scsi0="local-lvm:vm-100-disk-0,size=1G")
    world.inside(vm).ha_state = "started" if ha else None
    world.fake.storages["local-lvm"]["shared"] = int(shared)
    for number in range(1, nodes):
        world.fake.add_node(f"pve{number + 1}")
    _code, document = inspect(sites, world, capsys)
    found = outcomes(document, world.access.name)
    assert {rule: found[rule] for rule in SINGLE if rule in found} == dict.fromkeys(failed, "fail")


@on_vsphere
def test_single_points_of_failure_of_vsphere(
    world: VsphereWorld, sites: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.foreign("a")
    cluster = world.content.rootFolder.childEntity[0].hostFolder.childEntity[0]
    off = vim.cluster.ConfigSpecEx(dasConfig=vim.cluster.DasConfigInfo(enabled=False))
    before = outcomes(inspect(sites, world, capsys)[1], world.access.name)
    done(cluster.ReconfigureComputeResource_Task(off, True))
    after = outcomes(inspect(sites, world, capsys)[1], world.access.name)
    assert [[found.get(rule) for rule in SINGLE] for found in (before, after)] == [[None] * 3, [None, "fail", None]]


@real
def test_the_playbook_writes_the_report_and_changes_nothing(world: LibvirtWorld, sites: Path, tmp_path: Path) -> None:
    foreign = world.foreign()
    before = world.picture()
    document = by_playbook(sites, world, tmp_path)
    assert outcomes(document, foreign.name)["tag-owner"] == "fail"
    page = (tmp_path / "report/report.html").read_text()
    assert foreign.name in page
    assert "libvirt does not know of them" in page
    assert world.picture() == before


@pytest.mark.parametrize("world", ["test"], indirect=True)
def test_a_site_that_is_down_costs_no_report_on_the_others(world: World, sites: Path, tmp_path: Path) -> None:
    """It is told, its VMs are not taken for missing, and the exit code is not 0, once the report is there. A job that
    has to know them all names all that do not answer."""
    document = yaml.safe_load(sites.read_text())
    nowhere = "qemu+unix:///system?socket=/nowhere"
    down = {name: {"platform": "libvirt", "uri": nowhere, "pool": "default"} for name in ("down", "lost")}
    tiny = {"cpus": 1, "memory": "32 MiB", "disks": [{"size": "1 MiB"}]}
    vms = {"a": {"site": "down", **tiny}, "b": {"site": "lost", **tiny}}
    sites.write_text(json.dumps({**document, "sites": {**down, **document["sites"]}, "vms": vms}))
    task = {"muster.fleet.vm_info": {"fleet_file": str(sites), "all": True}}
    known = play(tmp_path, {"known": task}).results["known"]
    assert (known.get("missing"), known.get("down")) == ([], [])
    extra = json.dumps({"fleet_file": str(sites), "report_dir": str(tmp_path / "report")})
    ran = run("ansible-playbook", "muster.fleet.inspect", "-i", "localhost,", "-e", extra)
    assert ran.code == 2, ran.output
    told = json.loads((tmp_path / "report/report.json").read_text())
    assert {vm["site"] for vm in told["vms"]} == {world.access.name}
    for name in down:
        assert any(note.startswith(f"Not seen at site '{name}': all that it has. Unable to ") for note in told["notes"])
    assert "1 VM, 1 finding, " in " ".join(ran.output.split())
    ran = run("ansible-playbook", "muster.fleet.health", "-i", "localhost,", "-e", extra)
    assert ran.code == 2, ran.output
    assert all(f"Site '{name}': unable to " in ran.output for name in down)
