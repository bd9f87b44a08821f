"""Plans as ``terraform show -json`` writes them, of any size: ``python -m tests.benchmarks.plans --vms 5000 OUT``.

The same number gives the same plan. Every VM differs in something, and about a third of them break a rule in each of a
few ways, so that a check of the plan has findings and passes. Values that Terraform would know only after apply are
left out of the values and marked, and links stand in the configuration, as in a plan of the provider itself.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PROVIDERS = {"aws": "registry.terraform.io/hashicorp/aws", "muster": "registry.terraform.io/muster/muster"}
GROUP = 50  # VMs that share a security group
SIZES = ("t3.small", "t3.medium", "m5.large", "m5.xlarge", "c6i.2xlarge", "r6i.large")
TEAMS = ("shop", "billing", "search", "platform")
# What the provider computes for an instance that says nothing of it.
COMPUTED = (
    "arn", "associate_public_ip_address", "availability_zone", "capacity_reservation_specification", "cpu_options",
    "disable_api_stop", "disable_api_termination", "ebs_block_device", "ebs_optimized", "enclave_options",
    "ephemeral_block_device", "host_id", "host_resource_group_arn", "iam_instance_profile", "id",
    "instance_initiated_shutdown_behavior", "instance_lifecycle", "instance_market_options", "instance_state",
    "ipv6_address_count", "ipv6_addresses", "key_name", "maintenance_options", "metadata_options", "monitoring",
    "network_interface", "outpost_arn", "password_data", "placement_group", "placement_partition_number",
    "primary_network_interface_id", "private_dns", "private_dns_name_options", "private_ip", "public_dns", "public_ip",
    "root_block_device", "secondary_private_ips", "security_groups", "spot_instance_request_id", "subnet_id",
    "tenancy", "user_data", "user_data_base64", "vpc_security_group_ids",
)


class Made(NamedTuple):
    """One resource: its values, what is known later, and the expressions of its block."""

    type: str
    name: str
    values: dict[str, Any]
    later: dict[str, Any]
    expressions: dict[str, Any]


def constants(values: dict[str, Any]) -> dict[str, Any]:
    """The expressions of values that the configuration writes out."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        block = isinstance(value, list) and value and isinstance(value[0], dict)
        made[key] = [constants(each) for each in value] if block else {"constant_value": value}
    return made


def reference(resource: str, attribute: str) -> dict[str, Any]:
    """The expression of one reference."""
    return {"references": [f"{resource}.{attribute}", resource]}


def shown(later: Any) -> Any:
    """The form of `later` with nothing marked: none of these values is sensitive."""
    if isinstance(later, dict):
        return {key: shown(value) for key, value in later.items() if value is not True}
    return [shown(value) for value in later] if isinstance(later, list) else False


def tags(number: int) -> dict[str, str]:
    """Tags of a VM; each ninth has no owner."""
    found = {"Name": f"vm-{number:05}", "environment": "production" if number % 3 else "test",
             "cost_center": str(4700 + number % 40), "service": f"service-{number % 17}"}
    return found if number % 9 == 0 else {**found, "owner": TEAMS[number % len(TEAMS)]}


def security_group(number: int) -> Made:
    """A security group; each third lets SSH in from everywhere."""
    name = f"group_{number:04}"
    anywhere = number % 3 == 0
    rules = [("https", 443, "0.0.0.0/0"), ("ssh", 22, "0.0.0.0/0" if anywhere else "10.0.0.0/8")]
    values = {
        "description": f"Group {number}", "name": name, "name_prefix": None, "revoke_rules_on_delete": False,
        "tags": {"Name": name}, "tags_all": {"Name": name}, "timeouts": None,
        "ingress": [
            {"cidr_blocks": [cidr], "description": about, "from_port": port, "ipv6_cidr_blocks": [],
             "prefix_list_ids": [], "protocol": "tcp", "security_groups": [], "self": False, "to_port": port}
            for about, port, cidr in rules
        ],
        "egress": [{"cidr_blocks": ["0.0.0.0/0"], "description": "", "from_port": 0, "ipv6_cidr_blocks": [],
                    "prefix_list_ids": [], "protocol": "-1", "security_groups": [], "self": False, "to_port": 0}],
    }
    later = {
        "arn": True, "id": True, "owner_id": True, "vpc_id": True, "tags": {}, "tags_all": {}, "name_prefix": True,
        "ingress": [{"cidr_blocks": [False], "ipv6_cidr_blocks": [], "prefix_list_ids": [], "security_groups": []}] * 2,
        "egress": [{"cidr_blocks": [False], "ipv6_cidr_blocks": [], "prefix_list_ids": [], "security_groups": []}],
    }
    written = {key: {"constant_value": values[key]} for key in ("description", "name", "tags", "ingress", "egress")}
    return Made("aws_security_group", name, values, later, written)


def instance(number: int) -> Made:
    """An instance; faults by the rest of a division of its number."""
    group = f"aws_security_group.group_{number // GROUP:04}"
    given: dict[str, Any] = {
        "ami": f"ami-{number % 7:017x}",
        "instance_type": SIZES[number % len(SIZES)],
        "availability_zone": "eu-central-1" + "abc"[number % 3],
        "subnet_id": f"subnet-{number % 3:017x}",
        "monitoring": number % 4 != 0,
        "ebs_optimized": number % 5 != 0,
        "associate_public_ip_address": number % 6 == 0,
        "metadata_options": [{
            "http_endpoint": "enabled", "http_put_response_hop_limit": 1, "http_protocol_ipv6": "disabled",
            "http_tokens": "optional" if number % 3 == 0 else "required",
        }],
        "root_block_device": [{
            "delete_on_termination": True, "encrypted": number % 3 != 1, "volume_size": 20 + number % 30,
            "volume_type": "gp3",
        }],
        "tags": tags(number),
    }
    if number % 10 == 0:
        given["user_data"] = "#!/bin/sh\nexport AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n"
    if number % 4 != 1:
        given["iam_instance_profile"] = f"profile-{number % 12}"
    values = {
        **given, "credit_specification": [], "get_password_data": False, "hibernation": None, "launch_template": [],
        "source_dest_check": True, "tags_all": given["tags"], "timeouts": None, "user_data_replace_on_change": False,
        "volume_tags": None,
    }
    later: dict[str, Any] = {key: True for key in COMPUTED if key not in values}
    later |= {
        "credit_specification": [], "launch_template": [], "tags": {}, "tags_all": {},
        "metadata_options": [{"instance_metadata_tags": True}],
        "root_block_device": [{"device_name": True, "iops": True, "kms_key_id": True, "tags_all": True,
                               "throughput": True, "volume_id": True}],
    }
    written = {**constants(given), "vpc_security_group_ids": reference(group, "id")}
    return Made("aws_instance", f"vm_{number:05}", values, later, written)


def volume(number: int) -> Iterator[Made]:
    """A data volume and its attachment."""
    vm, name = f"aws_instance.vm_{number:05}", f"vm_{number:05}_data"
    given = {
        "availability_zone": "eu-central-1" + "abc"[number % 3], "encrypted": number % 4 != 2,
        "size": 50 + number % 200, "type": "gp3", "tags": {"Name": name},
    }
    values = {**given, "final_snapshot": False, "multi_attach_enabled": None, "outpost_arn": None,
              "tags_all": given["tags"], "timeouts": None}
    later = dict.fromkeys(("arn", "create_time", "id", "iops", "kms_key_id", "snapshot_id", "throughput"), True)
    yield Made("aws_ebs_volume", name, values, {**later, "tags": {}, "tags_all": {}}, constants(given))
    yield Made(
        "aws_volume_attachment", name,
        {"device_name": "/dev/sdf", "force_detach": None, "skip_destroy": None, "stop_instance_before_detaching": None},
        {"id": True, "instance_id": True, "volume_id": True},
        {"device_name": {"constant_value": "/dev/sdf"}, "instance_id": reference(vm, "id"),
         "volume_id": reference(f"aws_ebs_volume.{name}", "id")})


def aws(vms: int) -> Iterator[Made]:
    """Instances with a data volume each, in security groups that they share."""
    for number in range(vms):
        if number % GROUP == 0:
            yield security_group(number // GROUP)
        yield instance(number)
        yield from volume(number)


def muster(vms: int) -> Iterator[Made]:
    """VMs of Muster's own provider."""
    for number in range(vms):
        values: dict[str, Any] = {
            "name": f"vm-{number:05}", "site": "lab", "image": "debian-12", "profile": "web" if number % 2 else "batch",
            "cpus": 1 + number % 8, "memory": f"{1 + number % 16} GiB", "firmware": "uefi",
            "secure_boot": number % 3 != 0, "power": "on",
            "disks": [
                {"name": "root", "size": "20 GiB", "encrypted": number % 4 != 0, "tier": "gold"},
                {"name": "data", "size": f"{50 + number % 200} GiB", "encrypted": True, "tier": "silver"},
            ],
            "nics": [{"name": "nic0", "network": "front" if number % 2 else "back", "vlan": 100 + number % 50}],
            "tags": {key: value for key, value in tags(number).items() if key != "Name"},
            "protection": {"rpo": "24h" if number % 5 else None, "rto": "15m", "deletion": number % 3 == 1,
                           "keep": {"last": 3, "daily": 7, "weekly": 4, "monthly": None}},
            "health": [{"http": {"port": 80, "path": "/", "status": 200, "contains": None}, "tcp": None}],
            "anti_affinity": f"group-{number % 100}", "host": None, "zone": None,
        }
        later = {"id": True, "uuid": True, "disks": [{}, {}], "nics": [{"mac": True}], "tags": {},
                 "protection": {"keep": {}}, "health": [{"http": {}}]}
        given = {key: value for key, value in values.items() if value is not None}
        written = {key: {"constant_value": value} for key, value in given.items()}
        yield Made("muster_vm", f"vm_{number:05}", values, later, written)


MAKERS: dict[str, Callable[[int], Iterator[Made]]] = {"aws": aws, "muster": muster}


def plan(provider: str, vms: int) -> dict[str, Any]:
    """The plan that makes `vms` VMs."""
    planned, changes, blocks = [], [], []
    for made in MAKERS[provider](vms):
        base = {"address": f"{made.type}.{made.name}", "mode": "managed", "type": made.type, "name": made.name,
                "provider_name": PROVIDERS[provider]}
        sensitive = shown(made.later)
        planned.append({**base, "schema_version": 1, "values": made.values, "sensitive_values": sensitive})
        changes.append({**base, "change": {
            "actions": ["create"], "before": None, "after": made.values, "after_unknown": made.later,
            "before_sensitive": False, "after_sensitive": sensitive}})
        blocks.append({"address": base["address"], "mode": "managed", "type": made.type, "name": made.name,
                       "provider_config_key": provider, "expressions": made.expressions, "schema_version": 1})
    return {
        "format_version": "1.2", "terraform_version": "1.11.4",
        "planned_values": {"root_module": {"resources": planned}},
        "resource_changes": changes,
        "configuration": {
            "provider_config": {provider: {"name": provider, "full_name": PROVIDERS[provider],
                                           "expressions": {"region": {"constant_value": "eu-central-1"}}}},
            "root_module": {"resources": blocks},
        },
        "timestamp": "2026-01-15T12:00:00Z", "applyable": True, "complete": True, "errored": False,
    }


def main() -> None:
    """Write a plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vms", type=int, default=1000)
    parser.add_argument("--provider", choices=sorted(MAKERS), default="aws")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    text = json.dumps(plan(given.provider, given.vms), separators=(",", ":"))
    given.out.write_text(text, encoding="utf-8")
    print(f"{given.out}: {given.vms} VMs, {len(text) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
