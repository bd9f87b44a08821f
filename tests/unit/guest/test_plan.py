"""What check mode predicts is what a run does, and a second run does nothing: cases as data, on a real tree."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from muster.guest.formats import HEADER
from muster.guest.host import GuestError
from muster.guest.settings import KINDS, plan

CASES = yaml.safe_load((Path(__file__).parent / "plans.yml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_plan_then_steps_then_nothing(case, host, tree, monkeypatch):
    monkeypatch.setattr("os.chown", lambda *args: None)
    for name, text in case.get("tree", {}).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(0o644)
        (tree / name).parent.chmod(0o755)
    for name, mode in case.get("mode", {}).items():
        (tree / name).chmod(int(mode, 8))
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    planned = plan(case["settings"], host, "muster")
    assert [[c.kind, c.item, c.before, c.after] for c in planned.changes] == case["changes"]
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before, "a plan changed a file"
    for part in planned.parts:
        assert part.steps, "a change without a step would be shown and never done"
        for step in part.steps:
            step.run(host)
    for name, text in case.get("files", {}).items():
        assert (tree / name).read_text().replace(HEADER, "") == text
    if not case.get("once"):
        assert plan(case["settings"], host, "muster").changes == []


def test_files_lose_bits_and_never_gain_them(host, tree, monkeypatch):
    monkeypatch.setattr("muster.guest.kinds.files.refuse_path", lambda path, user: None)
    crontab = tree / "etc/crontab"
    crontab.chmod(0o666)
    wanted = {"files": {"/etc/crontab": {"mode": "0640"}, "/etc/none": {"mode": "0600"}}}
    planned = plan(wanted, host, "root")
    assert [change.item for change in planned.changes] == ["/etc/crontab"]
    for step in planned.parts[0].steps:
        step.run(host)
    assert crontab.stat().st_mode & 0o7777 == 0o640
    crontab.chmod(0o400)
    assert plan(wanted, host, "root").changes == []


def test_auditd_s_own_files_are_closed_to_others(host, tree, monkeypatch):
    monkeypatch.setattr("os.chown", lambda *args: None)
    log = tree / "var/log/audit/audit.log"
    log.parent.mkdir(parents=True)
    log.write_text("")
    log.chmod(0o644)
    log.parent.chmod(0o755)
    planned = plan({"auditd": {"access": "restricted"}}, host, "root")
    assert [change.item for change in planned.changes] == ["/var/log/audit", "/var/log/audit/audit.log",
                                                           "/etc/audit/auditd.conf"]
    for step in planned.parts[0].steps:
        step.run(host)
    modes = [path.stat().st_mode & 0o777 for path in (log.parent, log, tree / "etc/audit/auditd.conf")]
    assert modes == [0o750, 0o640, 0o640]


@pytest.mark.parametrize(("settings", "words"), [
    ({"sshdd": {}}, "Unknown kinds"),
    ({"sysctl": {"../../etc/passwd": "0"}}, "not a name"),
    ({"sysctl": {"net/ipv4": "0"}}, "not a name"),
    ({"sysctl": {"net.ipv4.ip_forward": "0\nkernel.panic = 1"}}, "one line"),
    ({"login_defs": {"UMASK": "027\nENCRYPT_METHOD MD5"}}, "one line"),
    ({"modules_disabled": ["udf\ninstall x /bin/sh"]}, "not a name"),
    ({"packages_absent": ["-y"]}, "not a name"),
    ({"packages_absent": ["openssh-server"]}, "cut the guest off"),
    ({"packages_absent": ["sudo"]}, "cut the guest off"),
    ({"services_disabled": ["ssh"]}, "cut the guest off"),
    ({"services_disabled": ["qemu-guest-agent"]}, "cut the guest off"),
    ({"files": {"/etc/../root/.ssh": {"mode": "0000"}}}, "not a name"),
    ({"files": {"/root/.ssh/authorized_keys": {"state": "absent"}}}, "left alone"),
    ({"files": {"/usr/sbin/sshd": {"mode": "0000"}}}, "left alone"),
    ({"files": {"/etc/crontab": {"mode": "0998"}}}, "octal"),
    ({"sudo": {"targetpw": True}}, "take"),
    ({"sudo": {"logfile": "/x\" !authenticate"}}, "otherwise"),
    ({"sudo": {"authenticate": True}}, "take"),
    ({"faillock": {"even_deny_root": 1}}, "takes"),
    ({"banners": {"/etc/passwd": "x"}}, "banners takes"),
    ({"auditd": {"rules": ["-D"]}}, "begin with"),
    ({"auditd": {"privileged": False}}, "auditd takes"),
    ({"auditd": {"access": "open"}}, "auditd takes"),
    ({"logs": {"access": "open"}}, "logs takes"),
    ({"timesyncd": {"NTP": "a\nb"}}, "one line"),
    ({"apt": {"APT::Update::Pre-Invoke": "x\"; }"}}, "quotation"),
    ({"pam": {"nullok": True}}, "nullok: false"),
], ids=str)
def test_refused_before_anything_changes(settings, words, host, tree):
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    with pytest.raises(GuestError, match=words) as error:
        plan(settings, host, "root")
    assert "Nothing was changed" in str(error.value)
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_no_file_system_is_mounted_over_what_runs(host):
    planned = plan({"mounts": {"/tmp": ["nodev", "noexec"], "/dev/shm": ["noexec"]}}, host, "muster")
    for part in planned.parts:
        for step in part.steps:
            step.run(host)
    assert host.ran == [("mount", "--bind", "--", "/tmp", "/tmp"),
                        ("mount", "-o", "remount,bind,nodev,noexec", "--", "/tmp"),
                        ("mount", "-o", "remount,bind,nosuid,nodev,noexec", "--", "/dev/shm")]
    assert planned.parts[0].reboot


def test_packages_come_first_and_the_gate_last():
    assert KINDS.index("packages_present") < KINDS.index("auditd")
    assert KINDS[-2:] == ("sudo", "sshd")
