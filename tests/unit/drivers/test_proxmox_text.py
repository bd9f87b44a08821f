"""Proxmox's text for a VM: what is written is what is read, and what is strange breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.drivers.driver import Denied, Failed, Locked, NotFound, Unreachable, Unsupported
from muster.drivers.ownership import Written
from muster.drivers.proxmox import archive, errors
from muster.drivers.proxmox import config as text
from muster.drivers.proxmox import mark as marks
from muster.model.vm import Mark

MAC = "bc:24:11:00:00:01"
NICS = st.fixed_dictionaries(
    {"name": st.just("nic0"), "network": st.sampled_from(["vmbr0", "vnet.7"])},
    optional={
        "vlan": st.integers(1, 4094),
        "bandwidth_limit": st.integers(0, 1 << 40),
        "connected": st.booleans(),
    },
)


@given(NICS)
def test_nics(nic: dict[str, Any]) -> None:
    (read,) = text.nics({"net0": text.nic_value(nic, MAC)})
    found = text.read_nic(read, "nic0")
    assert found == {"vlan": None, "bandwidth_limit": 0, "connected": True, "mac": MAC, **nic} or (
        "vlan" not in nic and found == {"bandwidth_limit": 0, "connected": True, "mac": MAC, **nic}
    )


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_disks(iops: int, limit: int) -> None:
    disk = {"iops_limit": iops, "bandwidth_limit": limit}
    (drive,) = text.drives({"scsi0": text.join("lvm:vm-1-disk-0", {**text.disk_options(disk), "size": "3G"})})
    assert text.read_disk(drive, "root") == {"name": "root", "size": 3 << 30, "pool": "lvm", **disk}


LIMITS = {"bps=1048577": 1048577, "mbps=1.5": 3 << 19, "mbps=0.000": 0, "mbps=1e3": 0, "mbps=": 0, "bps=7,mbps=0": 7}


@pytest.mark.parametrize("options", LIMITS)
def test_a_limit_that_somebody_set(options: str) -> None:
    (drive,) = text.drives({"scsi0": f"lvm:vm-1-disk-0,{options}"})
    assert text.read_disk(drive, "root")["bandwidth_limit"] == LIMITS[options]


STRANGE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@given(st.dictionaries(st.sampled_from(["scsi0", "ide2", "net0", "net1", "boot", "smbios1"]), STRANGE))
def test_what_is_strange_breaks_nothing(config: dict[str, str]) -> None:
    for drive in text.drives(config):
        text.read_disk(drive, "x")
    for nic in text.nics(config):
        text.read_nic(nic, "x")
    text.uuid_of(config)


DRIVES = {
    "the boot order decides": ({"scsi0": "l:a", "scsi1": "l:b", "boot": "order=scsi1;net0"}, ["scsi1", "scsi0"]),
    "an old boot disk": ({"virtio0": "l:a", "ide0": "l:b", "bootdisk": "virtio0"}, ["virtio0", "ide0"]),
    "in the order of the numbers": ({"scsi10": "l:a", "scsi2": "l:b"}, ["scsi2", "scsi10"]),
    "no CD-ROMs": ({"ide2": "local:iso/x.iso,media=cdrom", "ide3": "none,media=cdrom", "scsi0": "l:a"}, ["scsi0"]),
    "no EFI disk": ({"efidisk0": "l:e,efitype=4m", "unused0": "l:u", "scsi0": "l:a", "scsihw": "lsi"}, ["scsi0"]),
}


@pytest.mark.parametrize(("config", "keys"), DRIVES.values(), ids=DRIVES)
def test_which_are_the_disks(config: dict[str, str], keys: list[str]) -> None:
    assert [drive.key for drive in text.drives(config)] == keys


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_mark_survives_any_value_and_the_notes_around_it_too(value: str, before: str) -> None:
    written = Written(Mark("acme", "web", "op"), {"tags": {"a": value}}, platform={"uuid": "u"})
    notes = marks.notes(written, before)
    assert notes.count("<!-- muster ") == 1 or "<!-- muster " in before
    config = {"description": notes, "smbios1": "uuid=u"}
    found = marks.read(config, 1)
    assert found is None or found.fields == written.fields  # a value that no tag may have is no mark
    if value.isascii() and value.isprintable() and value:
        assert found == written


@given(st.dictionaries(st.sampled_from(["cores", "scsi0", "net0"]), STRANGE.map(str.strip)), STRANGE)
def test_the_configuration_of_an_archive(config: dict[str, str], notes: str) -> None:
    lines = ["#" + notes.replace("%", "%25"), *(f"{key}: {value}" for key, value in config.items())]
    assert archive.parse("\n".join([*lines, "[snap]", "cores: 9"])) == {**config, "description": notes}


WORDS = {
    "VM is locked (backup)": Locked,
    "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout": Locked,
    "Configuration file 'nodes/a/qemu-server/1.conf' does not exist": NotFound,
    "storage 'x' does not exist": NotFound,
    "Permission check failed (/vms/100, VM.Audit)": Denied,
    "snapshot feature is not available": Unsupported,
    "start failed: QEMU exited with code 1": Failed,
}


@pytest.mark.parametrize(("words", "kind"), WORDS.items(), ids=WORDS)
def test_words(words: str, kind: type) -> None:
    assert errors.error_of("x", words, site="s").__class__ is kind


@pytest.mark.parametrize(("status", "kind"), {401: Denied, 403: Denied, 501: Unsupported, 595: Unreachable,
                                              502: Unreachable, 500: Failed}.items())
def test_statuses(status: int, kind: type) -> None:
    found = errors.error_of("x", "words\x1b[31m\nmore", site="s", status=status)
    assert found.__class__ is kind
    assert "\x1b" not in str(found)
    assert "\n" not in str(found)


def test_a_log_of_a_task_is_named_where_there_is_a_task() -> None:
    assert "the task's log" in errors.error_of("x", "QEMU exited", site="s").todo
    assert "the journal of the node" in errors.error_of("x", "QEMU exited", site="s", status=500).todo
