"""Speed of the rulebook, as ratios between two programs in one run; the median of five."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jmespath
from muster.policy.documents import normal
from muster.policy.expressions import compile_expression
from muster.policy.selftest import NOW

from .test_speed import median, told

GIB = 1 << 30


def fleet(count: int) -> list[dict[str, Any]]:
    """`count` VMs; every third misses something here and there."""
    return [
        {
            "name": f"web-{number}", "site": "lab", "power": "on", "profile": ("web", "database", "batch")[number % 3],
            "cpus": 2 + number % 7, "memory": (1 + number % 16) * GIB, "memory_minimum": GIB // 2,
            "firmware": "uefi" if number % 3 else "bios", "secure_boot": number % 5 > 0,
            "disks": [{"name": "root", "size": 10 * GIB, "encrypted": True, "pool": "fast"},
                      {"name": "data", "size": (20 + number % 40) * GIB, "encrypted": number % 4 > 0, "pool": "slow"}],
            "nics": [{"name": "nic0", "network": f"net-{number % 9}", "vlan": number % 9, "connected": True}],
            "tags": {"owner": "shop", "environment": "production" if number % 2 else "test", "cost_center": "4711",
                     "service": f"s{number % 50}"},
            "protection": {"rpo": 86400 >> number % 3, "rto": 900, "keep": {"daily": 7, "weekly": number % 5}},
            "health": [{"http": {"port": 80, "path": "/"}}], "snapshots": [],
        }
        for number in range(count)
    ]


# The same rules as JMESPath that both engines read, and as a person would write them in Python.
RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "memory >= `2147483648`": lambda vm: vm["memory"] >= 2147483648,
    "cpus >= `2` && cpus <= `8`": lambda vm: 2 <= vm["cpus"] <= 8,
    "power == 'on'": lambda vm: vm["power"] == "on",
    "firmware == 'uefi'": lambda vm: vm["firmware"] == "uefi",
    "firmware == 'bios' || secure_boot == `true`": lambda vm: vm["firmware"] == "bios" or vm["secure_boot"] is True,
    "memory_minimum < memory": lambda vm: vm["memory_minimum"] < vm["memory"],
    "tags.owner != ''": lambda vm: vm["tags"]["owner"] != "",
    "tags.environment == 'production' || tags.environment == 'test'":
        lambda vm: vm["tags"]["environment"] == "production" or vm["tags"]["environment"] == "test",
    "contains(['production', 'staging', 'test'], tags.environment)":
        lambda vm: vm["tags"]["environment"] in ["production", "staging", "test"],
    "starts_with(name, 'web-')": lambda vm: vm["name"].startswith("web-"),
    "starts_with(tags.service, 's1') || ends_with(name, '7')":
        lambda vm: vm["tags"]["service"].startswith("s1") or vm["name"].endswith("7"),
    "protection.rpo <= `86400` && protection.rto <= `3600`":
        lambda vm: vm["protection"]["rpo"] <= 86400 and vm["protection"]["rto"] <= 3600,
    "protection.keep.daily >= `7`": lambda vm: vm["protection"]["keep"]["daily"] >= 7,
    "protection.keep.weekly >= `4` || tags.environment != 'production'":
        lambda vm: vm["protection"]["keep"]["weekly"] >= 4 or vm["tags"]["environment"] != "production",
    "profile != 'database' || memory >= `8589934592`":
        lambda vm: vm["profile"] != "database" or vm["memory"] >= 8589934592,
    "length(disks) <= `4`": lambda vm: len(vm["disks"]) <= 4,
    "length(nics) >= `1`": lambda vm: len(vm["nics"]) >= 1,
    "length(health) > `0`": lambda vm: len(vm["health"]) > 0,
    "length(snapshots) == `0`": lambda vm: len(vm["snapshots"]) == 0,
    "length(name) <= `63`": lambda vm: len(vm["name"]) <= 63,
    "disks[0].name == 'root'": lambda vm: vm["disks"][0]["name"] == "root",
    "disks[0].size >= `10737418240`": lambda vm: vm["disks"][0]["size"] >= 10737418240,
    "length(disks[?encrypted]) == length(disks)":
        lambda vm: len([disk for disk in vm["disks"] if disk["encrypted"]]) == len(vm["disks"]),
    "length(disks[?size > `53687091200`]) == `0`":
        lambda vm: len([disk for disk in vm["disks"] if disk["size"] > 53687091200]) == 0,
    "length(disks[?pool == 'fast']) >= `1`":
        lambda vm: len([disk for disk in vm["disks"] if disk["pool"] == "fast"]) >= 1,
    "length(nics[?vlan == `4`]) == `0`": lambda vm: len([nic for nic in vm["nics"] if nic["vlan"] == 4]) == 0,
    "length(nics[?connected]) >= `1`": lambda vm: len([nic for nic in vm["nics"] if nic["connected"]]) >= 1,
    "sum(disks[].size) <= `64424509440`": lambda vm: sum([disk["size"] for disk in vm["disks"]]) <= 64424509440,
    "max(disks[].size) <= `53687091200`": lambda vm: max([disk["size"] for disk in vm["disks"]]) <= 53687091200,
    "contains(disks[].name, 'root')": lambda vm: "root" in [disk["name"] for disk in vm["disks"]],
}


def test_expressions_beside_the_library_and_beside_lambdas() -> None:
    vms = fleet(1000)
    documents = [normal(vm) for vm in vms]
    ours = [compile_expression(text).run for text in RULES]
    library = [jmespath.compile(text) for text in RULES]
    lambdas = list(RULES.values())
    answers = [[run(document, NOW) for run in ours] for document in documents]
    assert answers == [[rule.search(vm) for rule in library] for vm in vms]
    assert answers == [[rule(vm) for rule in lambdas] for vm in vms]
    assert any(False in row for row in answers)

    compiled = median(lambda: [run(document, NOW) for document in documents for run in ours])
    name = "30 expressions on 1,000 VMs"
    assert told(name, compiled, median(lambda: [rule.search(vm) for vm in vms for rule in library]),
                "the jmespath library") < 1 / 20
    assert told(name, compiled, median(lambda: [rule(vm) for vm in vms for rule in lambdas]),
                "hand-written lambdas") < 2
