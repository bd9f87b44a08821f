"""Where Terraform keeps its state: one place for each site of each fleet, always locked."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from muster.model import fleet_fields
from muster.model.fleet import load_fleet
from muster.model.state import BACKENDS, State

NEEDED: dict[str, dict[str, str]] = {
    name: {key: "https://state.example/acme/" if key == "address" else "acme" for key in kind.needed}
    for name, kind in BACKENDS.items()
}
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


def state(**given: Any) -> State:
    document = {"fleet": "acme", "sites": {"lab": {"platform": "libvirt"}}, "vms": {"web": {}}, "state": given}
    return load_fleet(yaml.safe_dump(document), "/srv/acme/fleet.yml").state


def test_the_field_table_knows_the_same_backends() -> None:
    assert tuple(BACKENDS) == tuple(fleet_fields.BACKENDS)


@pytest.mark.parametrize(("given", "block"), [
    ({}, {"path": "/srv/acme/terraform.lab.tfstate"}),
    ({"folder": "state"}, {"path": "/srv/acme/state/terraform.lab.tfstate"}),
    ({"folder": "/var/state"}, {"path": "/var/state/terraform.lab.tfstate"}),
    ({"backend": "s3", "settings": {"bucket": "b", "region": "r"}},
     {"bucket": "b", "region": "r", "key": "acme/lab.tfstate", "use_lockfile": True, "encrypt": True}),
    ({"backend": "s3", "folder": "a/b/", "settings": {"bucket": "b"}},
     {"bucket": "b", "key": "a/b/lab.tfstate", "use_lockfile": True, "encrypt": True}),
    ({"backend": "gcs", "settings": {"bucket": "b"}}, {"bucket": "b", "prefix": "acme/lab"}),
    ({"backend": "http", "settings": {"address": "https://git.example/state/"}},
     {"address": "https://git.example/state/acme.lab", "lock_address": "https://git.example/state/acme.lab/lock",
      "unlock_address": "https://git.example/state/acme.lab/lock"}),
    ({"backend": "consul"}, {"path": "acme/lab", "lock": True}),
    ({"backend": "pg"}, {"schema_name": "acme.lab"}),
    ({"backend": "kubernetes", "settings": {"namespace": "ops"}},
     {"secret_suffix": "acme.lab.state", "namespace": "ops"}),
])
def test_the_block(given: dict[str, Any], block: dict[str, Any]) -> None:
    assert state(**given).block("acme", "lab") == block


@given(fleets=st.lists(names, min_size=2, max_size=4, unique=True), sites=st.lists(names, min_size=2, unique=True))
def test_no_two_sites_share_a_place(fleets: list[str], sites: list[str]) -> None:
    for backend in BACKENDS:
        kept = state(backend=backend, settings=NEEDED[backend])
        place = BACKENDS[backend].place
        if backend == "local":
            found = [kept.block("acme", site)[place] for site in sites]
        else:
            found = [kept.block(fleet, site)[place] for fleet, site in itertools.product(fleets, sites)]
        assert len(set(found)) == len(found)
