"""`muster adopt`: VMs that exist already, whoever made them; the next plan imports them and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from muster.command.main import main
from muster.drivers.driver import Driver
from muster.operations.converge import converge
from muster.operations.session import read_fleet
from sites import NETWORK, World
from tf_runs import OFF, Terraform, flat

pytestmark = pytest.mark.parametrize("world", ["qemu", "pve", "vsphere"], indirect=True)
DEFAULTS = {"image": None, "tags": {"owner": "shop"}, "protection": {"rpo": "24h"}}


@pytest.fixture
def site(terraform: Terraform) -> Terraform:
    """A fleet file with its site, its defaults and a comment, over which Terraform runs."""
    world = terraform.world
    text = yaml.safe_dump({"fleet": world.fleet, "defaults": DEFAULTS, "sites": {
        world.access.name: {"platform": world.access.platform, **world.access.options}}})
    fleet_file(terraform).write_text(f"# ours\n{text}")
    terraform.provider = {"fleet_file": "fleet.yml", "packs": []}
    return terraform


def fleet_file(terraform: Terraform) -> Path:
    return terraform.folder / "fleet.yml"


def adopt(terraform: Terraform, *words: str) -> int:
    return main(["adopt", "--site", terraform.world.access.name, "--resources", *words])


def zero(terraform: Terraform, count: int) -> None:
    """The plan imports `count` VMs and changes nothing, and neither does the one after it; nor does Ansible."""
    before = terraform.world.picture()
    terraform.vms = {}
    assert f"{count} to import, 0 to add, 0 to change, 0 to destroy" in flat(terraform.run("plan"))
    terraform.apply()
    assert terraform.plan() == {}
    fleet = read_fleet(fleet_file(terraform))
    drivers: dict[str, Driver] = {terraform.world.access.name: terraform.world.driver}
    done = converge(fleet, drivers, check=True)
    assert [(one.error, one.changed) for one in done] == [("", False)] * count
    assert terraform.world.picture() == before
    assert len(terraform.state()) == count


def test_vms_of_the_fleet(site: Terraform) -> None:
    """Those that bear its mark: made by Ansible, and lost from the file."""
    site.world.made("a", **{**OFF, "nics": [{"network": NETWORK}], "tags": {"owner": "lab", "note": "x ${y} %{z}"},
                            "protection": {"rto": "15m", "keep": {"daily": 7}}})
    site.world.made("b", **OFF)
    before = fleet_file(site).read_text()
    assert adopt(site, "--check") == 0
    assert fleet_file(site).read_text() == before
    assert adopt(site) == 0
    text = fleet_file(site).read_text()
    assert text.startswith(before)
    assert yaml.safe_load(text)["vms"][site.name("a")]["protection"]["rpo"] is None  # the defaults are not his
    zero(site, 2)
    assert adopt(site, "--terraform", "more.tf") == 0  # all are there
    assert not Path("more.tf").exists()
    site.world.made("c", **OFF)
    assert adopt(site, "--terraform", "more.tf") == 0
    assert list(yaml.safe_load(fleet_file(site).read_text())["vms"]) == [site.name(name) for name in "abc"]
    site.vms = {}
    assert "1 to import, 0 to add, 0 to change" in flat(site.run("plan"))


def test_a_vm_that_somebody_else_made(site: Terraform, capsys: pytest.CaptureFixture[str]) -> None:
    """It is adopted where it is named, and not else; nothing but the mark is put on it."""
    world = site.world
    stranger = world.foreign("x")
    assert adopt(site) == 0
    assert f"Without a mark, and so left alone: 1 VM, {stranger.name}." in capsys.readouterr().err
    assert world.driver.get(str(stranger.uuid)).mark is None
    assert adopt(site, "--take", "nobody") == 2
    assert "there is no such VM" in capsys.readouterr().err
    assert adopt(site, "--take", f"{stranger.name}=No Name") == 2
    assert adopt(site, "--take", stranger.name, "--from", "others") == 2
    assert "Say from which fleet it is taken" in capsys.readouterr().err
    assert world.driver.get(str(stranger.uuid)).mark is None
    assert adopt(site, "--take", f"{stranger.uuid}={site.name('web')}") == 0
    now = world.driver.get(str(stranger.uuid))
    assert now.mark is not None
    assert (now.mark.vm, now.name, now["cpus"], now["memory"]) == (
        site.name("web"), stranger.name, stranger["cpus"], stranger["memory"])
    zero(site, 1)


def test_a_vm_of_another_fleet(site: Terraform, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = World.wanted(site.world, "a", **OFF)
    from muster.model.vm import Mark

    there = site.world.driver.create(theirs, Mark("others", theirs.name), None)
    assert adopt(site, "--take", there.name) == 2
    assert "it is of the fleet 'others'; nothing was changed" in capsys.readouterr().err
    assert adopt(site, "--take", there.name, "--from", "others") == 0
    zero(site, 1)


def test_an_interrupted_adoption_is_carried_on_with(site: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = site.world.foreign("x")
    kind: Any = type(site.world.driver)
    original = kind.adopt

    def killed(self: Any, *words: Any) -> Any:
        original(self, *words)
        raise KeyboardInterrupt

    with monkeypatch.context() as planted:
        planted.setattr(kind, "adopt", killed)
        assert adopt(site, "--take", f"{stranger.name}={site.name('x')}") == 130
    assert adopt(site, "--take", f"{stranger.name}={site.name('x')}") == 0
    zero(site, 1)


@pytest.mark.parametrize(("vms", "says"), [
    ("vms:\n    # none yet\n    old: {cpus: 1}\nrules: []\n", ""),
    ("vms: {old: {cpus: 1}}\n", "to which nothing can be added"),
])
def test_fleet_files_of_all_forms(
    site: Terraform, capsys: pytest.CaptureFixture[str], vms: str, says: str
) -> None:
    fleet_file(site).write_text(fleet_file(site).read_text() + vms)
    before = fleet_file(site).read_text()
    site.world.made("a", **OFF)
    assert adopt(site) == (2 if says else 0)
    after = fleet_file(site).read_text()
    if says:
        assert says in capsys.readouterr().err
        assert after == before
        assert not Path("adopted.tf").exists()
    else:
        assert site.name("a") in yaml.safe_load(after)["vms"]
        assert ("rules: []" in after, "# none yet" in after) == ("rules" in vms, "none yet" in vms)


def test_deleting_an_adopted_vm_leaves_its_disks(site: Terraform, tmp_path: Path) -> None:
    if not hasattr(site.world, "virsh"):
        pytest.skip("where the disks of others lie is the platform's own")
    world: Any = site.world
    pool = world.driver.connection.storagePoolLookupByName(world.pool)
    pool.createXML(f"<volume><name>{world.names}-theirs.raw</name><capacity>1048576</capacity></volume>")
    path = Path(pool.storageVolLookupByName(f"{world.names}-theirs.raw").path())
    stranger = world.foreign("x", disk=path)
    assert adopt(site, "--take", stranger.name) == 0
    zero(site, 1)
    site.run("destroy", "-auto-approve")
    assert world.names + "-theirs.raw" in world.volumes()
    assert site.there() == {}
