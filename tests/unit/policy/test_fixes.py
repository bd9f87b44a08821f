"""What a rule tells people to write is something that the platform of their VM can honour."""

from __future__ import annotations

import pytest
from muster.drivers.libvirt import support as libvirt
from muster.drivers.proxmox import support as proxmox
from muster.drivers.vsphere import support as vsphere
from muster.policy import load_rules
from muster.policy.documents import normal
from muster.policy.evaluate import verdict
from muster.policy.packfile import shipped
from muster.policy.rule import Rule
from muster.policy.selftest import NOW

REFUSED = {"libvirt": libvirt.REFUSED, "proxmox": proxmox.REFUSED, "vsphere": vsphere.REFUSED}
# A site of one host, or one whose driver writes no such rule, keeps no two VMs apart: that is the truth, and is waived.
TRUE_ALL_THE_SAME = {("production-web-spread", "libvirt"), ("production-web-spread", "proxmox")}
FIXES = [(rule, platform) for rule in load_rules(shipped()) if rule.fix.get("vm") for platform in REFUSED]


@pytest.mark.parametrize(("rule", "platform"), FIXES, ids=[f"{rule.id}-{platform}" for rule, platform in FIXES])
def test_no_rule_asks_for_what_the_platform_refuses(rule: Rule, platform: str) -> None:
    refused = {*rule.fix["vm"]} & REFUSED[platform].keys()
    if not refused or (rule.id, platform) in TRUE_ALL_THE_SAME:
        return
    for document in rule.failing:
        outcome, _clause = verdict(rule, normal({**document, "platform": platform}), NOW)
        assert outcome != "fail", f"its fix names {sorted(refused)}, which {platform} refuses"
