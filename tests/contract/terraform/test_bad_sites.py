"""Sites that are down, strange, full or locked; runs that take too long or are interrupted: a sentence, and the
state as it was."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from muster.drivers.credentials import variable
from muster.drivers.driver import Failed
from muster.drivers.proxmox import driver as proxmox
from muster.drivers.proxmox.tasks import Tasks
from muster.model.vm import VM
from tf_runs import OFF, PROGRAM, Terraform, flat, starting
from vsphere_simulator import ACCOUNT

pve = pytest.mark.parametrize("world", ["pve"], indirect=True)
Fault = Callable[[Any, Terraform, pytest.MonkeyPatch], AbstractContextManager[None]]


def setting(**options: Any) -> Fault:
    """A site whose access is said otherwise."""
    @contextmanager
    def planted(world: Any, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        site = terraform.provider["sites"][world.access.name]
        before = dict(site)
        site.update(options)
        yield
        site.clear()
        site.update(before)

    return planted


@contextmanager
def wrong_token(world: Any, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as planted:
        planted.setenv(variable(world.access.name), "muster@pve!tests=00000000-0000-0000-0000-000000000000")
        yield


@contextmanager
def wrong_password(world: Any, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as planted:
        planted.setenv(variable(world.access.name), f"{ACCOUNT[0]}:something else")
        yield


@contextmanager
def locked(world: Any, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    vmid = world.driver.get(terraform.name("a")).state["vmid"]
    with monkeypatch.context() as planted:
        planted.setattr(proxmox, "Tasks", functools.partial(Tasks, lock_wait=0.2))
        world.fake.snapshot_lock(vmid, "backup")
        yield
        world.fake.unlock(vmid)


NOWHERE = "https://127.0.0.1:1"
SITES: dict[str, tuple[Fault, str, tuple[str, ...]]] = {
    "down": (setting(uri=NOWHERE), "plan", ("Connection refused", "Check that Proxmox runs there")),
    "no certificate of an authority": (setting(tls={}), "plan", ("certificate verify failed", ".tls.ca")),
    "another certificate": (setting(tls={"fingerprint": ":".join(["AB"] * 32)}), "plan", ("ingerprint",)),
    "no file of authorities": (setting(tls={"ca": "nothing.pem"}), "plan", ("nothing.pem",)),
    "a wrong token": (wrong_token, "plan", ("Check the API token",)),
    "no credentials": (setting(credentials="nothing"), "plan", ("nothing with its credentials cannot be read",)),
    "no such platform there": (setting(uri="https://127.0.0.1"), "plan", ("Unable to",)),
    "locked": (locked, "apply", ("VM is locked (backup)", "Muster never unlocks a VM")),
}


VCENTERS: dict[str, tuple[Fault, str, tuple[str, ...]]] = {
    "down": (setting(uri=NOWHERE), "plan", ("Connection refused",)),
    "no certificate of an authority": (setting(tls={}), "plan", ("certificate verify failed", ".tls.ca")),
    "another certificate": (setting(tls={"fingerprint": ":".join(["AB"] * 32)}), "plan", ("ingerprint",)),
    "a wrong password": (wrong_password, "plan", ("Login failure", "Check the site's credentials")),
    "no credentials": (setting(credentials="nothing"), "plan", ("nothing with its credentials cannot be read",)),
}


@pve
@pytest.mark.parametrize("fault", SITES)
def test_a_bad_site(terraform: Terraform, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    bad(terraform, monkeypatch, SITES[fault])


@pytest.mark.parametrize("world", ["vsphere"], indirect=True)
@pytest.mark.parametrize("fault", VCENTERS)
def test_a_bad_vcenter(terraform: Terraform, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    bad(terraform, monkeypatch, VCENTERS[fault])


def bad(terraform: Terraform, monkeypatch: pytest.MonkeyPatch, fault: tuple[Fault, str, tuple[str, ...]]) -> None:
    """The sentence, in plan, apply and destroy; state and site are as they were, and afterwards all goes on."""
    world: Any = terraform.world
    terraform.vms = {"a": OFF, "b": OFF}
    terraform.apply()
    planted, first, says = fault
    state, picture = terraform.state(), world.picture()
    terraform.vms["a"] = {**OFF, "cpus": 2}
    with planted(world, terraform, monkeypatch):
        if first == "plan":
            picture = world.picture()
            said = flat(terraform.run("plan", code=1)) + flat(terraform.run("destroy", "-auto-approve", code=1))
        else:
            picture = world.picture()
            said = flat(terraform.apply(code=1))
        for words in says:
            assert words in said
        assert "Traceback" not in said
        assert world.picture() == picture
    assert terraform.state() == state
    terraform.apply()
    assert terraform.there()["a"]["cpus"] == 2
    assert terraform.plan() == {}


@pve
def test_a_certificate_that_nobody_verifies_is_warned_about(terraform: Terraform) -> None:
    terraform.vms = {"a": OFF}
    terraform.provider["sites"][terraform.world.access.name]["tls"] = {"verify": False}
    assert "its certificate is not verified (tls.verify is false)" in flat(terraform.apply())


@pve
def test_a_disk_that_finds_no_room(terraform: Terraform) -> None:
    """A new one, and one that grows: nothing is half done, and the next apply carries on."""
    world: Any = terraform.world
    terraform.vms = {"a": OFF}
    terraform.apply()
    state, picture = terraform.state(), world.picture()
    world.fake.storages["local-lvm"] |= {"type": "lvm", "avail": 1 << 20}
    terraform.vms["b"] = {**OFF, "disks": [{"size": "5 MiB"}]}
    said = flat(terraform.apply(code=1))
    assert "'local-lvm' has 1 MiB free, and it needs 5 MiB there; nothing was" in said
    assert (terraform.state(), world.picture()) == (state, picture)
    del world.fake.storages["local-lvm"]["avail"]
    terraform.vms["a"] = {**OFF, "disks": [{"size": "8 MiB"}]}
    world.fake.fail("PUT", f"/qemu/{terraform.there()['a'].state['vmid']}/resize", 500,
                    "unable to write: No space left on device", times=1)
    assert "Free space on that storage" in flat(terraform.apply(code=1))
    assert terraform.state()["a"]["disks"] == state["a"]["disks"]
    terraform.apply()
    assert terraform.there().keys() == {"a", "b"}
    assert terraform.plan() == {}


# Time-outs and Ctrl-C


@pve
def test_a_time_out(terraform: Terraform) -> None:
    """It ends when its time is over, although the lock would be waited for, for much longer."""
    world: Any = terraform.world
    terraform.provider["timeout"] = "1s"
    terraform.vms = {"a": OFF}
    terraform.apply()
    state, vmid = terraform.state(), terraform.there()["a"].state["vmid"]
    world.fake.snapshot_lock(vmid, "backup")
    terraform.vms["a"] = {**OFF, "cpus": 2}
    start = time.monotonic()
    said = flat(terraform.apply(code=1))
    assert "it was not done within 1s" in said
    assert "the provider's setting timeout" in said
    assert time.monotonic() - start < 60  # and not the 300 s of the lock
    assert terraform.state() == state
    world.fake.unlock(vmid)
    terraform.provider["timeout"] = "5m"
    terraform.apply()
    assert terraform.plan() == {}


@pve
@pytest.mark.parametrize("timeout", ["soon", "-1s", "0s"])
def test_no_time_out(terraform: Terraform, timeout: str) -> None:
    terraform.provider["timeout"] = timeout
    terraform.vms = {"a": OFF}
    assert "timeout" in terraform.refused()


@pve
def test_control_c(world: Any, tmp_path: Path) -> None:
    """As a terminal sends it, to Terraform and the provider both: an apply ends, says so, and the next one carries on.
    """
    terraform = starting(world, tmp_path)
    terraform.vms = {"a": OFF}
    terraform.apply()
    state, vmid = terraform.state(), terraform.there()["a"].state["vmid"]
    world.fake.snapshot_lock(vmid, "backup")
    terraform.vms["a"] = {**OFF, "cpus": 2}
    terraform.vms["b"] = OFF
    terraform.write()
    running = subprocess.Popen(
        [PROGRAM, "apply", "-auto-approve", "-no-color"], cwd=terraform.folder, env=terraform.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if "muster_vm.b: Creation complete" in line:  # the other one waits for its lock
            os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == 1
    assert "the run was interrupted" in flat(said)
    assert terraform.state()["a"] == state["a"]
    assert terraform.state().keys() == {"a", "b"}
    world.fake.unlock(vmid)
    terraform.apply()
    assert terraform.plan() == {}


@pve
def test_many_operations_at_once(terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as Terraform asks for, and beside them it is heard that they shall end."""
    count = 40
    together, released = threading.Barrier(count + 1), threading.Event()

    def silent(self: Any, desired: VM, *_: Any, **__: Any) -> None:
        together.wait(30)
        released.wait(60)
        raise Failed("the site kept silent", site=self.site, vm=desired.name)

    terraform.vms = {f"v{number}": OFF for number in range(count)}
    terraform.write()
    with monkeypatch.context() as planted:
        planted.setattr(type(terraform.world.driver), "create", silent)
        running = subprocess.Popen(
            [PROGRAM, "apply", "-auto-approve", "-no-color", f"-parallelism={count}"], cwd=terraform.folder,
            env=terraform.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            together.wait(30)
            running.send_signal(signal.SIGINT)
            said, _none = running.communicate(timeout=60)
        finally:
            released.set()
            running.kill()
    assert flat(said).count("the run was interrupted; it still goes on") == count
    assert terraform.state() == {}
