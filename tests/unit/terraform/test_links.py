"""Which volume belongs to which VM, where the plan knows no ids: by the references of the configuration."""

from __future__ import annotations

from typing import Any

import pytest
from muster.terraform.reading import parse
from terraform_files import encoded

VM, VOLUME, ATTACHMENT = "aws_instance.web", "aws_ebs_volume.data", "aws_volume_attachment.data"


def vm(address: str) -> dict[str, Any]:
    return {"address": address, "values": {"root_block_device": [{"volume_size": 8}], "ebs_block_device": []}}


def volume(address: str, size: int) -> dict[str, Any]:
    return {"address": address, "values": {"size": size}, "unknown": {"id": True}}


def attachment(address: str) -> dict[str, Any]:
    return {"address": address, "values": {}, "unknown": {"instance_id": True, "volume_id": True}}


def sizes(case: dict[str, Any]) -> dict[str, list[int]]:
    """The sizes, in GiB, of the disks beside the root of each VM."""
    return {each["terraform_address"]: [disk["size"] >> 30 for disk in each["disks"][1:]]
            for each in parse(encoded(case)).vms}


def case(keys: list[str], instance: list[str], of: list[str], for_each: list[str] | None = None) -> dict[str, Any]:
    """VMs, volumes of 1, 2, 3… GiB and attachments with the same keys; the references of the attachments."""
    blocks = [{"address": VM, "expressions": {}}, {"address": VOLUME, "expressions": {}},
              {"address": ATTACHMENT, "for_each_expression": {"references": for_each or []},
               "expressions": {"instance_id": {"references": instance}, "volume_id": {"references": of}}}]
    return {
        "resources": [made for number, key in enumerate(keys) for made in (
            vm(VM + key), volume(VOLUME + key, number + 1), attachment(ATTACHMENT + key))],
        "configuration": {"root_module": {"resources": blocks}},
    }


@pytest.mark.parametrize(("keys", "instance", "of", "for_each"), [
    ([""], [f"{VM}.id", VM], [f"{VOLUME}.id", VOLUME], None),
    (["[0]", "[1]", "[2]"], [VM, "count.index"], [VOLUME, "count.index"], None),
    (['["a"]', '["b.c"]', '["d\\"e"]'], [VM, "each.key"], [VOLUME, "each.key"], None),
    (['["a"]', '["b"]'], ["each.value.id", "each.value"], [VOLUME, "each.key"], [VM]),
], ids=["alone", "count", "for_each", "for_each over the VMs"])
def test_each_has_its_own(keys: list[str], instance: list[str], of: list[str], for_each: list[str] | None) -> None:
    expected = {VM + key: [number + 1] for number, key in enumerate(keys)}
    assert sizes(case(keys, instance, of, for_each)) == expected


def test_all_volumes_on_one_vm_that_is_named() -> None:
    made = case(["[0]", "[1]"], [f"{VM}[1].id", f"{VM}[1]", VM], [VOLUME, "count.index"])
    assert sizes(made) == {f"{VM}[0]": [], f"{VM}[1]": [1, 2]}


def test_more_attachments_than_vms_are_calculated_and_not_guessed() -> None:
    """count.index % 2 and floor(count.index / 2) look the same in a plan."""
    made = case(["[0]", "[1]", "[2]"], [VM, "count.index"], [VOLUME, "count.index"])
    made["resources"] = [each for each in made["resources"] if each["address"] != f"{VM}[2]"]
    assert sizes(made) == {f"{VM}[0]": [], f"{VM}[1]": []}


def test_a_constant_loop_names_the_vm_in_its_values() -> None:
    made = case(['["a"]', '["b"]'], [VM, "each.value.vm", "each.value"], [VOLUME, "each.key"])
    assert sizes(made) == {f'{VM}["a"]': [], f'{VM}["b"]': []}  # keys alike, and still not what the loop says
    made["configuration"]["root_module"]["resources"][2]["for_each_expression"] = {
        "constant_value": {"a": {"vm": "b", "size": 1}, "b": {"vm": "a", "size": 2}}}
    assert sizes(made) == {f'{VM}["a"]': [2], f'{VM}["b"]': [1]}


def test_a_reference_that_fits_several_leads_nowhere_and_is_counted() -> None:
    made = case(["[0]", "[1]"], [VM], [VOLUME])
    assert sizes(made) == {f"{VM}[0]": [], f"{VM}[1]": []}
    assert parse(encoded(made)).unmapped == {"aws_ebs_volume": 2, "aws_volume_attachment": 2}


def nested() -> dict[str, Any]:
    """A module of VMs in two instances, a module of disks inside a module, linked through outputs and variables."""
    disks = {
        "resources": [{"address": VOLUME, "expressions": {}}, {"address": ATTACHMENT, "expressions": {
            "instance_id": {"references": ["var.vm"]}, "volume_id": {"references": [f"{VOLUME}.id", VOLUME]}}}],
    }
    outer = {
        "resources": [],
        "module_calls": {"disks": {
            "module": disks, "expressions": {"vm": {"references": ["var.machine.id", "var.machine"]}}}},
    }
    vms = {"resources": [{"address": VM, "expressions": {}}],
           "outputs": {"vm": {"expression": {"references": [f"{VM}[0].id", f"{VM}[0]", VM]}}}}
    return {
        "resources": [
            vm('module.vms["a"].aws_instance.web[0]'), vm('module.vms["b"].aws_instance.web[0]'),
            *(made for number, key in enumerate("ab") for made in (
                volume(f'module.outer["{key}"].module.disks.{VOLUME}', number + 1),
                attachment(f'module.outer["{key}"].module.disks.{ATTACHMENT}'))),
        ],
        "configuration": {"root_module": {"resources": [], "module_calls": {
            "vms": {"module": vms, "expressions": {}},
            "outer": {"module": outer, "expressions": {"machine": {"references": ["module.vms", "each.key"]}}},
        }}},
    }


def test_through_modules_variables_and_outputs() -> None:
    made = nested()
    calls = made["configuration"]["root_module"]["module_calls"]
    # module.vms[each.key].vm: Terraform lists the module alone; of its outputs one leads to a VM.
    assert sizes(made) == {'module.vms["a"].aws_instance.web[0]': [1], 'module.vms["b"].aws_instance.web[0]': [2]}
    calls["outer"]["expressions"]["machine"]["references"] = ['module.vms["b"].vm', 'module.vms["b"]', "module.vms"]
    assert sizes(made) == {'module.vms["a"].aws_instance.web[0]': [], 'module.vms["b"].aws_instance.web[0]': [1, 2]}


def test_variables_that_name_each_other_come_to_an_end() -> None:
    loop: dict[str, Any] = {"resources": [{"address": ATTACHMENT, "expressions": {
        "instance_id": {"references": ["module.self.out"]}}}],
        "outputs": {"out": {"expression": {"references": ["module.self.out"]}}}}
    loop["module_calls"] = {"self": {"module": {
        "resources": [], "outputs": {"out": {"expression": {"references": ["var.v"]}}}},
        "expressions": {"v": {"references": ["module.self.out"]}}}}
    made = {"resources": [vm(VM), attachment(ATTACHMENT)], "configuration": {"root_module": loop}}
    assert sizes(made) == {VM: []}


def test_ids_that_two_resources_bear_lead_nowhere() -> None:
    made = {"state": [
        {"address": "aws_instance.a", "values": {"id": "i-1", "root_block_device": [{}]}},
        {"address": "aws_instance.b", "values": {"id": "i-1", "root_block_device": [{}]}},
        {"address": VOLUME, "values": {"id": "vol-1", "size": 5}},
        {"address": ATTACHMENT, "values": {"instance_id": "i-1", "volume_id": "vol-1"}},
    ]}
    assert sizes(made) == {"aws_instance.a": [], "aws_instance.b": []}
    assert parse(encoded(made)).unmapped == {"aws_ebs_volume": 1, "aws_volume_attachment": 1}


def test_a_group_that_all_share_and_more_than_can_be_followed() -> None:
    groups = [{"address": f"aws_security_group.g[{number}]", "values": {"name": f"g{number}", "ingress": [],
               "egress": []}} for number in range(300)]
    made = {
        "resources": [{"address": VM, "values": {}, "unknown": {"vpc_security_group_ids": True}}, *groups],
        "configuration": {"root_module": {"resources": [
            {"address": VM, "expressions": {"vpc_security_group_ids": {"references": ["aws_security_group.g"]}}}]}},
    }
    assert "aws.security_groups" in parse(encoded(made)).vms[0]["unknown"]
    made["resources"] = made["resources"][:4]
    assert [each["name"] for each in parse(encoded(made)).vms[0]["aws"]["security_groups"]] == ["g0", "g1", "g2"]
