"""How Ansible reaches guests: what an address or a mark says never becomes an option of ssh."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.model.fleet import Fleet, Site
from muster.model.vm import VM, Mark
from muster.operations import hosts

KEY = "/fleet/id_ed25519"
FLEET = Fleet(
    "acme", {"lab": Site("lab", "libvirt", {"ssh": {"user": "admin", "key": KEY}}), "bare": Site("bare", "libvirt")}, ()
)
WEB = VM(
    "web-renamed",
    "lab",
    {"power": "on"},
    "uuid-1",
    Mark("acme", "web", "op-1"),
    {"power": "on", "address": "127.0.0.1:40022"},
)


def test_what_a_host_is_told_of_its_vm() -> None:
    vm = replace(WEB, spec={"cpus": 2, "power": "off"}, state={**WEB.state, "vsphere": {"logging": True}})
    assert hosts.told(vm) == {
        "cpus": 2, "power": "on", "address": "127.0.0.1:40022", "name": "web-renamed", "site": "lab", "uuid": "uuid-1",
    }  # fmt: skip


def test_variables() -> None:
    assert hosts.variables(FLEET, WEB) == {
        "ansible_host": "127.0.0.1",
        "ansible_port": 40022,
        "ansible_user": "admin",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": KEY,
        "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o UserKnownHostsFile={KEY}.known_hosts "
        "-o HostKeyAlias=web.lab.op-1 -o StrictHostKeyChecking=accept-new",
    }


def test_a_site_without_ssh() -> None:
    found = hosts.variables(FLEET, replace(WEB, site="bare"))
    assert found["ansible_user"] == "muster"
    assert "ansible_ssh_common_args" not in found


def test_a_vm_made_anew_is_another_host_to_ssh() -> None:
    again = replace(WEB, mark=Mark("acme", "web", "op-2"))
    assert (
        hosts.variables(FLEET, WEB)["ansible_ssh_common_args"]
        != (hosts.variables(FLEET, again)["ansible_ssh_common_args"])
    )


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("192.0.2.7", "192.0.2.7", 22), ("127.0.0.1:2222", "127.0.0.1", 2222), ("2001:db8::7", "2001:db8::7", 22)],
)
def test_addresses(address: str, host: str, port: int) -> None:
    found = hosts.variables(FLEET, replace(WEB, state={"power": "on", "address": address}))
    assert (found["ansible_host"], found["ansible_port"]) == (host, port)


@pytest.mark.parametrize(
    "vm",
    [
        pytest.param(replace(WEB, state={"power": "off", "address": "192.0.2.7"}), id="off"),
        pytest.param(replace(WEB, state={"power": "on"}), id="no address"),
        pytest.param(replace(WEB, mark=None), id="not ours"),
    ],
)
def test_out_of_reach(vm: VM) -> None:
    assert hosts.variables(FLEET, vm) == {}


@pytest.mark.parametrize(
    "address",
    [
        "-oProxyCommand=reboot",
        "$(reboot)",
        "{{ lookup('pipe', 'id') }}",
        "a b",
        "127.0.0.1:-o",
        "127.0.0.1:99999",
        "127.0.0.1:",
        ":22",
        "web.example",
    ],
)
def test_what_is_no_address_is_none(address: str) -> None:
    assert hosts.variables(FLEET, replace(WEB, state={"power": "on", "address": address})) == {}


@given(st.text(), st.text())
def test_no_mark_adds_an_option_of_ssh(name: str, operation: str) -> None:
    found = hosts.variables(FLEET, replace(WEB, mark=Mark("acme", name, operation), uuid=operation))
    words = shlex.split(found["ansible_ssh_common_args"])
    assert words[::2] == ["-o"] * 4
    assert [word.split("=")[0] for word in words[1::2]] == [
        "IdentitiesOnly",
        "UserKnownHostsFile",
        "HostKeyAlias",
        "StrictHostKeyChecking",
    ]


@pytest.mark.parametrize(
    "folder", ["my fleets", "x -oProxyCommand=reboot", 'a"b', "a'b", "100%h", "a\\b", "$(reboot)", "{{ x }}", "täglich"]
)
def test_a_folder_adds_no_option_of_ssh(tmp_path: Path, folder: str) -> None:
    """What ssh itself makes of the options: one file, the one beside the key."""
    key = str(tmp_path / folder / "key")
    fleet = replace(FLEET, sites={"lab": Site("lab", "libvirt", {"ssh": {"key": key}})})
    words = shlex.split(hosts.variables(fleet, WEB)["ansible_ssh_common_args"])
    argv = ["ssh", "-F", "none", "-G", *words, "127.0.0.1"]
    done = subprocess.run(argv, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    told = dict(line.split(" ", 1) for line in done.stdout.decode("utf-8").splitlines() if " " in line)
    assert told["userknownhostsfile"] == f"{key}.known_hosts"
    assert told["hostname"] == "127.0.0.1"
    assert "proxycommand" not in told


@given(st.dictionaries(st.text(), st.text(), max_size=3), st.none() | st.text())
def test_group_names(tags: dict[str, str], profile: str | None) -> None:
    spec: dict[str, Any] = {"tags": tags, "profile": profile}
    for group in hosts.groups(replace(WEB, spec=spec)):
        assert group.isascii()
        assert group.replace("_", "a").isalnum()


def test_of_fleet() -> None:
    other = replace(WEB, mark=Mark("other", "web"))
    half = replace(WEB, mark=Mark("acme", "db"), state={"built": False})
    assert hosts.of_fleet(FLEET, [other, half, WEB, replace(WEB, mark=None)]) == {"web": WEB}
