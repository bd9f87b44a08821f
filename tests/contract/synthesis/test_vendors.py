"""The stacks over the vendors' own providers: what they write is read back by Muster's reader of plans, as VMs that are
those of the fleet file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cdk_apps import needs_node
from muster.model.errors import ModelError
from muster.model.fleet import Fleet, load_fleet
from muster.terraform.reading import parse
from terraform_files import encoded

pytestmark = needs_node
REFERENCE = re.compile(r"\$\{(data\.[a-z_]+\.[A-Za-z0-9_-]+)\.(\w+)\}")
SITE: dict[str, Any] = {
    "platform": "vsphere", "uri": "https://vcenter.example/sdk", "pool": "ssd", "tiers": {"fast": "nvme.1"},
    "images": {"debian-12": {"template": "debian-12.7"}, "debian-13": {"template": "debian-13.1"}}}
VMS: dict[str, Any] = {
    "web": {"count": 2, "cpus": 2, "memory": "4 GiB", "overrides": {"2": {"memory": "8 GiB"}}},
    "db": {"cpus": 4, "memory": "16 GiB", "disks": [{"size": "20 GiB"}, {"name": "data", "size": "100 GiB"}],
           "protection": {"deletion": True}, "tags": {"owner": "dba ${x}"}},
}
DEFAULTS: dict[str, Any] = {
    "image": "debian-12", "disks": [{"size": "10 GiB"}], "nics": [{"network": "front"}], "profile": "web",
    "tags": {"owner": "shop"}, "protection": {"rpo": "24h", "rto": "15m", "keep": {"daily": 7}}}


def fleet(vms: dict[str, Any], site: dict[str, Any] | None = None, **defaults: Any) -> Fleet:
    return load_fleet(json.dumps({"fleet": "acme", "sites": {"dc": {**SITE, **(site or {})}},
                                  "defaults": {**DEFAULTS, **defaults}, "vms": vms}), "/srv/fleet.yml")


def written(folder: Path, kind: str, loaded: Fleet, *place: Any) -> dict[str, Any]:
    from muster_cdktf import stacks
    from muster_cdktf.cdk import App

    app = App(outdir=str(folder))
    getattr(stacks, kind)(app, loaded, "dc", *place, stacks.Rulebook(()))
    app.synth()
    found: dict[str, Any] = json.loads((folder / "stacks" / "dc" / "cdk.tf.json").read_text())
    return found


def read(stack: dict[str, Any], kind: str) -> dict[str, Any]:
    """The VMs by name as a plan of the stack has them: `for_each` carried out, data sources looked up."""
    resources, prior = [], []
    for data, found in stack.get("data", {}).items():
        for name, values in found.items():
            ids = {attribute: f"data.{data}.{name}:{attribute}" for attribute in ("id", "resource_pool_id")}
            own = {key: value for key, value in values.items() if key != "//"}
            prior.append({"address": f"data.{data}.{name}", "values": {**_known(own), **ids}})
    for name, values in stack["resource"][kind].items():
        own = {key: value for key, value in values.items() if key not in ("//", "for_each", "lifecycle")}
        each = values.get("for_each")
        if isinstance(each, str):
            each = {key: {} for key in json.loads(each.removeprefix("${toset(").removesuffix(")}"))}
        for key, more in (each or {None: {}}).items():
            address = f"{kind}.{name}" + (f"[{json.dumps(key)}]" if key else "")
            resources.append({"address": address, "values": _known(own, key, more)})
    reading = parse(encoded({"resources": resources, "prior": prior}), "plan.json")
    return {document["name"]: document for document in reading.vms}


def _known(value: Any, key: str | None = None, each: Any = None) -> Any:
    """`value` as Terraform evaluates it."""
    if isinstance(value, dict):
        return {name: _known(item, key, each) for name, item in value.items()}
    if isinstance(value, list):
        return [_known(item, key, each) for item in value]
    if not isinstance(value, str):
        return value
    if value == "${each.key}":
        return key
    if value.startswith("${each.value."):
        return _known(each[value.removeprefix("${each.value.").removesuffix("}")], key, each)
    return REFERENCE.sub(r"\1:\2", value).replace("$${", "${")


def same(document: dict[str, Any], vm: Any, *fields: str) -> None:
    for field in fields:
        assert document.get(field) == vm[field], (vm.name, field)


def test_vsphere(tmp_path: Path) -> None:
    loaded = fleet({**VMS, "front": {
        "cpus": 4, "cpu_topology": {"sockets": 2, "cores": 2}, "memory": "2 GiB", "memory_reservation": "1 GiB",
        "memory_limit": "2 GiB", "resource_pool": "gold/web", "folder": "shop/web", "firmware": "uefi",
        "secure_boot": True, "host": "esx-1", "anti_affinity": "front",
        "disks": [{"size": "10 GiB", "tier": "fast", "iops_limit": 500}],
        "nics": [{"network": "front", "mac": "52:54:00:11:22:33", "bandwidth_limit": "12500000"}]}},
        tags={"owner": "shop", "environment": "test"})
    stack = written(tmp_path, "VSphereVendorStack", loaded, "dc-1", "cluster-1")
    found = read(stack, "vsphere_virtual_machine")
    assert found.keys() == {vm.name for vm in loaded.vms}
    for vm in loaded.vms:
        document = found[vm.name]
        same(document, vm, "cpus", "memory", "firmware", "secure_boot", "host", "tags", "memory_reservation",
             "memory_limit", "resource_pool", "folder")
        assert (document["zone"], document["image"]) == ("cluster-1", "debian-12.7")
        pool = "nvme.1" if vm.name == "front" else "ssd"
        assert [(disk["name"], disk["size"], disk["pool"], disk.get("iops_limit")) for disk in document["disks"]] == [
            (disk["name"], disk["size"], pool, disk.get("iops_limit")) for disk in vm["disks"]]
        assert [(nic["network"], nic.get("mac"), nic.get("bandwidth_limit")) for nic in document["nics"]] == [
            (nic["network"], nic.get("mac"), nic.get("bandwidth_limit")) for nic in vm["nics"]]
    assert [disk["unit_number"] for disk in stack["resource"]["vsphere_virtual_machine"]["db"]["disk"]] == [0, 1]
    assert found["front"]["cpu_topology"] == {"sockets": 2, "cores": 2, "threads": 1}
    assert stack["resource"]["vsphere_virtual_machine"]["db"]["lifecycle"] == {"prevent_destroy": True}
    assert stack["resource"]["vsphere_compute_cluster_vm_anti_affinity_rule"]["apart-front"]["virtual_machine_ids"] == [
        "${vsphere_virtual_machine.front.id}"]
    assert stack["provider"]["vsphere"] == [{"vsphere_server": "vcenter.example"}]


def test_what_vspheres_site_says(tmp_path: Path) -> None:
    loaded = fleet(VMS, {"uri": "https://vcenter.example:8443/dc-1/cluster-1", "folder": "shop/web",
                         "tls": {"verify": False}})  # fmt: skip
    stack = written(tmp_path, "VSphereVendorStack", loaded, "dc-1", "cluster-1")
    assert {vm["folder"] for vm in stack["resource"]["vsphere_virtual_machine"].values()} == {"shop/web"}
    assert stack["provider"]["vsphere"] == [{"vsphere_server": "vcenter.example:8443", "allow_unverified_ssl": True}]


@pytest.mark.parametrize(("site", "says"), [
    ({"tls": {"ca": "./ca.pem"}}, "'tls.ca' cannot be written: the provider of vSphere trusts the authorities of its "
     "machine alone"),
    ({"tls": {"fingerprint": "AB:" * 31 + "AB"}}, "'tls.fingerprint' cannot be written"),
    ({"uri": "https://vcenter.example/dc-1/cluster-1/gold"}, "'uri' cannot be written: it names a resource pool"),
    ({"uri": "https://vcenter.example/dc-2/cluster-1"}, "'uri' cannot be written: it names 'dc-2', and the stack was "
     "told of 'dc-1'"),
])
def test_what_the_vendors_provider_cannot_say_of_a_site(tmp_path: Path, site: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=re.escape("Site 'dc': the option ")) as caught:
        written(tmp_path, "VSphereVendorStack", fleet(VMS, site), "dc-1", "cluster-1")
    assert says in str(caught.value)


def test_aws(tmp_path: Path) -> None:
    from muster_cdktf.stacks import AwsPlace

    loaded = fleet(VMS, zone="eu-central-1a")
    place = AwsPlace("eu-central-1", {"debian-12": "ami-1"}, {"front": "subnet-1"})
    stack = written(tmp_path, "AwsStack", loaded, place)
    found = read(stack, "aws_instance")
    assert found.keys() == {vm.name for vm in loaded.vms}
    for vm in loaded.vms:
        document = found[vm.name]
        same(document, vm, "cpus", "memory", "zone")
        assert (document["image"], document["platform"]) == ("ami-1", "aws")
        assert document["tags"] == {**vm["tags"], "Name": vm.name}
        assert [disk["size"] for disk in document["disks"]] == [disk["size"] for disk in vm["disks"]]
        assert document["nics"][0]["network"] == "subnet-1"
        assert document["aws"]["metadata_tokens"] == "required"
        assert document.get("protection", {}).get("deletion") == vm["protection"].get("deletion")
    assert stack["provider"]["aws"] == [{"region": "eu-central-1"}]


@pytest.mark.parametrize(("kind", "vm", "says"), [
    ("VSphereVendorStack", {"cpu_pinning": "0-1"}, "the field 'cpu_pinning' cannot be written: the resource of vsphere "
     "has nothing for it. Remove it, or make the VM by Muster's own provider"),
    ("VSphereVendorStack", {"disks": [{"size": "10 GiB", "encrypted": True}]}, "'disks.root.encrypted'"),
    ("VSphereVendorStack", {"disks": [{"size": "10 GB"}]}, "takes whole GiB only"),
    ("VSphereVendorStack", {"power": "off"}, "its VMs run once they are made"),
    ("VSphereVendorStack", {"image": None}, "a VM is cloned from a template"),
    ("AwsStack", {"memory": "5 GiB"}, "no instance type has 2 CPUs and just that memory"),
    ("AwsStack", {"image": "debian-13"}, "the stack was told of none called 'debian-13'"),
    ("AwsStack", {"nics": [{"network": "front"}, {"network": "front"}]}, "an instance has one NIC here"),
    ("AwsStack", {"firmware": "uefi"}, "'firmware'"),
])
def test_what_the_vendor_cannot_say(tmp_path: Path, kind: str, vm: dict[str, Any], says: str) -> None:
    from muster_cdktf.stacks import AwsPlace

    place = ["dc-1", "cluster-1"] if kind.startswith("V") else [
        AwsPlace("eu-central-1", {"debian-12": "ami-1"}, {"front": "subnet-1"})]
    loaded = fleet({"a": {"cpus": 2, "memory": "4 GiB", **vm}})
    with pytest.raises(ModelError, match=re.escape("VM 'a' at site 'dc': the field")) as caught:
        written(tmp_path, kind, loaded, *place)
    assert says in str(caught.value)
