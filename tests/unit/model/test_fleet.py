"""The fleet file as it is meant: layers, counts, overrides, sites, waivers."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest
from muster.model.errors import ModelError
from muster.model.fleet import Fleet, Site, Waiver, load_fleet
from muster.model.vm import Mark

GIB = 1 << 30
HEAD = "fleet: acme\nsites: {lab: {platform: libvirt}}\n"

ACME = """
fleet: acme
sites:
  lab:
    platform: libvirt
    uri: qemu:///system
    images:
      debian-12: {path: images/debian-12.qcow2}
      debian-13: {path: /srv/images/debian-13.qcow2}
    ssh: {user: muster, key: keys/id_ed25519}
    repository: ../backups
    parallel: 2
defaults:
  site: lab
  image: debian-12
  tags: {owner: platform, environment: production}
vms:
  web:
    count: 2
    profile: web
    cpus: 2
    memory: 2 GiB
    disks: [{size: 10 GiB}]
    nics: [{network: default}]
    tags: {owner: shop, cost_center: "4711"}
    anti_affinity: web
    protection: {rpo: 24h, rto: 15m, keep: {daily: 7, weekly: 4}}
    health: [{http: {port: 80, path: /}}]
    overrides:
      web-2: {memory: 4 GiB, tags: {canary: "yes"}}
  db:
    image: null
    power: on
    schedule: {start: 07:00, stop: 19:00, days: [mon, tue]}
    secure_boot: no
rules: [muster/baseline, muster/cis-debian-12, ./rules/ours.yml]
waivers:
  - {rule: vm-has-backup, vms: ["db", "web-*"], reason: moves to the cluster, approver: jane, until: 2027-03-31}
"""


@pytest.fixture(scope="module")
def acme() -> Fleet:
    return load_fleet(ACME, "fleets/acme/fleet.yml")


def test_names_and_marks(acme: Fleet) -> None:
    assert [vm.name for vm in acme.vms] == ["web-1", "web-2", "db"]
    assert acme.vm("web-2").mark == Mark("acme", "web-2")
    assert acme.at("lab") == acme.vms
    assert acme.at("elsewhere") == ()


def test_layers(acme: Fleet) -> None:
    one, two, db = acme.vms
    assert one["memory"] == 2 * GIB
    assert two["memory"] == 4 * GIB
    assert one["tags"] == {"owner": "shop", "environment": "production", "cost_center": "4711"}
    assert two["tags"] == {**one["tags"], "canary": "yes"}
    assert one["disks"] == [{"name": "root", "size": 10 * GIB}]
    assert one["protection"] == {"rpo": 86400, "rto": 900, "keep": {"daily": 7, "weekly": 4}}
    assert one["image"] == "debian-12"
    assert "image" not in db.spec  # null unsets what the defaults set
    assert "site" not in one.spec


def test_words_that_yaml_readers_disagree_about(acme: Fleet) -> None:
    db = acme.vm("db")
    assert db["power"] == "on"
    assert db["secure_boot"] is False
    assert db["schedule"] == {"start": "07:00", "stop": "19:00", "days": ["mon", "tue"]}


def test_site(acme: Fleet) -> None:
    assert acme.sites["lab"] == Site("lab", "libvirt", {
        "uri": "qemu:///system",
        "images": {"debian-12": {"path": "fleets/acme/images/debian-12.qcow2"},
                   "debian-13": {"path": "/srv/images/debian-13.qcow2"}},
        "ssh": {"user": "muster", "key": "fleets/acme/keys/id_ed25519"},
        "repository": "fleets/backups",
        "parallel": 2,
    })


def test_rules_and_waivers(acme: Fleet) -> None:
    assert acme.rules == ("muster/baseline", "muster/cis-debian-12", "fleets/acme/rules/ours.yml")
    assert acme.waivers == (
        Waiver("vm-has-backup", ("db", "web-*"), "moves to the cluster", "jane", date(2027, 3, 31)),)


def test_an_unknown_vm_is_named_with_the_nearest(acme: Fleet) -> None:
    with pytest.raises(ModelError, match=r"fleet 'acme' has no VM 'web-3'; did you mean 'web-2'\?"):
        acme.vm("web-3")


@pytest.mark.parametrize(("vms", "fields"), [
    pytest.param("web: {}", {"web": {}}, id="nothing is managed"),
    pytest.param("web:", {"web": {}}, id="an empty entry"),
    pytest.param("web: {count: 1, cpus: 2}", {"web-1": {"cpus": 2}}, id="a count of one"),
    pytest.param("web: {count: 2, cpus: 2, overrides: {2: {cpus: 4}}}", {"web-1": {"cpus": 2}, "web-2": {"cpus": 4}},
                 id="an override by number"),
    pytest.param("web: {cpus: 2, overrides: {web: {cpus: 4}}}", {"web": {"cpus": 4}}, id="an override of one VM"),
    pytest.param("web: {count: 2, cpus: 2, overrides: {web-1: {cpus: null}}}", {"web-1": {}, "web-2": {"cpus": 2}},
                 id="an override that unsets"),
    pytest.param("web: {count: 2, overrides: {web-2: }}", {"web-1": {}, "web-2": {}}, id="an empty override"),
    pytest.param("web: {count: 2, cpu_topology: {sockets: 1}, overrides: {1: {cpu_topology: {cores: 2}}, "
                 "2: {cpu_topology: {cores: 4}}}}", None, id="a dict that only its overrides complete"),
    pytest.param("web: {disks: [{size: 1 GiB}], overrides: {web: {disks: [{size: 2 GiB}, {size: 3 GiB}]}}}",
                 {"web": {"disks": [{"name": "root", "size": 2 * GIB}, {"name": "disk1", "size": 3 * GIB}]}},
                 id="a list replaces"),
])
def test_entries(vms: str, fields: dict[str, Any] | None) -> None:
    if fields is None:
        with pytest.raises(ModelError, match="'cores' is missing"):
            load_fleet(f"{HEAD}vms: {{{vms}}}\n")
        return
    text = f"{HEAD}vms:\n  {vms}\n"
    assert {vm.name: dict(vm.spec) for vm in load_fleet(text).vms} == fields


def test_a_dict_may_be_completed_by_another_layer() -> None:
    fleet = load_fleet(HEAD + "defaults: {cpu_topology: {sockets: 1}}\nvms:\n  web: {cpu_topology: {cores: 2}}\n")
    assert fleet.vm("web")["cpu_topology"] == {"sockets": 1, "cores": 2}


def test_a_thousand_vms_are_read_in_good_time() -> None:
    entry = """
  vm{0}:
    profile: web
    cpus: {1}
    memory: 2 GiB
    disks: [{{size: 10 GiB}}, {{size: 20 GiB, tier: fast}}]
    nics: [{{network: default}}]
    tags: {{owner: shop, environment: production, cost_center: "47{0}"}}
    protection: {{rpo: 24h, rto: 15m, keep: {{daily: 7, weekly: 4}}}}
    health: [{{http: {{port: 80, path: /}}}}]
"""
    text = HEAD + "vms:" + "".join(entry.format(number, 1 + number % 8) for number in range(1000))
    started = time.process_time()
    assert len(load_fleet(text).vms) == 1000
    assert time.process_time() - started < 2  # about 0.3 s on one core; the bound is for a loaded machine
