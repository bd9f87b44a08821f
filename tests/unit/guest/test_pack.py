"""The packs for guests: their own cases, and fixes that this room can carry out."""

from __future__ import annotations

import pytest
from muster.guest import known
from muster.guest.facts.kernel import sysctl_path
from muster.guest.settings import KINDS
from muster.policy.fixes import settings
from muster.policy.packfile import load_rules
from muster.policy.selftest import cases, run

RULES = load_rules(["muster/cis-debian-12", "muster/cis-ubuntu-24-04"])
FIXED = [rule for rule in RULES if rule.fix and "advice" not in rule.fix]


@pytest.mark.parametrize("case", cases(RULES), ids=lambda case: case.name)
def test_case(case):
    assert run(case) == ""


def test_there_is_much_to_fix():
    assert len(FIXED) >= 200
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.stages == ("guest",) and rule.controls for rule in RULES)


@pytest.mark.parametrize("rule", FIXED, ids=lambda rule: rule.id)
def test_fix_is_of_a_known_kind_and_looks_at_known_names(rule):
    assert set(rule.fix) <= set(KINDS)
    assert set(rule.fix.get("packages_absent", [])) <= set(known.PACKAGES)
    assert set(rule.fix.get("sysctl", {})) <= set(known.SYSCTL)
    assert set(rule.fix.get("modules_disabled", [])) <= set(known.MODULES)
    assert set(rule.fix.get("files", {})) <= set(known.FILES)
    assert all(sysctl_path(key).count("/") >= 3 for key in rule.fix.get("sysctl", {}))


def guest(os_id, utility, rsyslog=False, chrony=False, **packages):
    """What `when` of the rules asks of a guest."""
    running, stopped = {"active": True}, {"active": False}
    return {"name": "a", "guest": {
        "os": {"id": os_id}, "firewall": {"utility": utility}, "ipv6": True, "grub": {"options": []},
        "packages": {**dict.fromkeys(known.PACKAGES, False), "cron": True, "at": True, "rsyslog": rsyslog, **packages},
        "services": {**dict.fromkeys(known.SERVICES, stopped), "chrony": running if chrony else stopped,
                     "rsyslog": running if rsyslog else stopped, "systemd-timesyncd": stopped if chrony else running},
        "files": {path: {"exists": True} for path in known.FILES}, "auditd": {"installed": True},
        "modules": {"squashfs": {"built_in": False}},
        "mounts": {path: {"mounted": True} for path in known.MOUNTS}}}


GUESTS = [guest("debian", "none"), guest("debian", "nftables", rsyslog=True), guest("debian", "iptables", chrony=True),
          guest("ubuntu", "none", snapd=True), guest("ubuntu", "ufw", rsyslog=True, chrony=True, gdm3=True)]


@pytest.mark.parametrize("document", GUESTS, ids=["bare", "nftables", "iptables", "snaps", "desktop"])
def test_fixes_agree_with_each_other(document):
    merged = settings(RULES, document)
    assert set(merged) <= set(KINDS)
    assert len(merged) >= 20
    assert not set(merged["packages_present"]) & set(merged["packages_absent"])
    assert not set(merged["services_enabled"]) & set(merged["services_disabled"])


def test_no_fix_touches_a_firewall_s_rules_a_partition_or_a_password():
    for rule in FIXED:
        numbers = rule.controls.get("cis_debian_12", ()) or rule.controls.get("cis_ubuntu_24_04", ())
        assert "1.4.1" not in numbers
        if any(number.startswith("4.") for number in numbers):
            assert set(rule.fix) <= {"packages_present", "packages_absent", "services_disabled"}, rule.id
