"""What a rule knows of a VM by looking at the others: facts of groups, honest about what the others leave open."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.policy import check, load_rules
from muster.policy.context import FROM_OTHERS, SHOWN, enrich
from muster.policy.documents import Absent, normal
from muster.policy.known import SITE_FACTS, VM_FACTS

Vm = dict[str, Any]


def vm(name: str, **fields: Any) -> Vm:
    return {"name": name, "site": "s", **fields}


def web(name: str, **fields: Any) -> Vm:
    return vm(name, anti_affinity="web", **fields)


def shop(name: str, environment: str = "production", **fields: Any) -> Vm:
    return vm(name, tags={"service": "shop", "environment": environment}, **fields)


def on(name: str, network: str = "", vlan: int | None = None, **tags: str) -> Vm:
    return vm(name, tags=tags, nics=[{"name": "nic0", "network": network, **({"vlan": vlan} if vlan else {})}])


def facts(documents: list[Vm], *keys: str) -> list[tuple[Any, ...]]:
    """What each document says under `keys`, as a rule would see it: None where it is not known."""
    found = []
    for document in map(normal, enrich(documents)):
        values = [document.get(key) for key in keys]
        found.append(tuple(None if isinstance(value, Absent) else value for value in values))
    return found


# Documents, keys, what the first of them says
CASES: dict[str, tuple[list[Vm], tuple[str, ...], tuple[Any, ...]]] = {
    "no group": ([vm("a"), vm("b")], ("peers", "peer_count", "siblings", "pinned_cpus"), (None, None, None, None)),
    "a group of one": ([web("a"), vm("b", anti_affinity="wbe")], ("peer_count", "peers_on_host", "peers"), (0, 0, [])),
    "a group of another site": ([web("a"), web("b", site="t")], ("peer_count",), (0,)),
    "kept apart": ([web("a", host="h1"), web("b", host="h2")], ("peer_count", "peers_on_host"), (1, 0)),
    "together": ([web("a", host="h1"), web("b", host="h1"), web("c")], ("peer_count", "peers_on_host"), (2, 1)),
    "a host that nobody told": ([web("a", host="h1"), web("b")], ("peers_on_host",), (None,)),
    "the VM's own host is not told": ([web("a"), web("b", host="h1")], ("peers_on_host",), (None,)),
    "the group of another is told later":
        ([web("a", host="h1"), vm("b", unknown=["anti_affinity"])], ("peer_count", "peers_on_host"), (0, None)),
    "alone in its service": ([shop("a"), vm("b", tags={"service": "mail"})], ("sibling_count",), (0,)),
    "another environment is another service": ([shop("a"), shop("b", "test")], ("sibling_count",), (0,)),
    "across sites": ([shop("a"), shop("b", site="t")], ("sibling_count",), (1,)),
    "a service that is told later": ([shop("a"), vm("b", unknown=["tags"])], ("sibling_count",), (None,)),
    "it has one, whatever comes later": ([shop("a"), shop("b"), vm("c", unknown=["tags"])], ("sibling_count",), (1,)),
    "who runs": ([shop("a", power="on"), shop("b", power="off"), shop("c", power="on")], ("siblings_running",), (1,)),
    "who runs is not told": ([shop("a", power="on"), shop("b")], ("siblings_running",), (None,)),
    "spread": ([shop("a", host="h1", zone="x"), shop("b", host="h2", zone="x")], ("service_hosts", "service_zones"),
               (2, 1)),
    "one host of a name at each site": ([shop("a", host="h"), shop("b", host="h", site="t")], ("service_hosts",), (2,)),
    "spread is not told": ([shop("a", host="h1"), shop("b")], ("service_hosts",), (None,)),
    "pinned apart": ([vm("a", platform="libvirt", cpu_pinning="0-2,8"), vm("b", platform="libvirt", cpu_pinning="3")],
                     ("pinned_cpus", "pinning_shared"), (4, False)),
    "pinned together": ([vm("a", platform="libvirt", cpu_pinning="0-2"),
                         vm("b", platform="libvirt", cpu_pinning="2-3")], ("pinning_shared",), (True,)),
    "pinned on other hosts": ([vm("a", host="h1", cpu_pinning="0"), vm("b", host="h2", cpu_pinning="0")],
                              ("pinning_shared",), (False,)),
    "pinned, and nobody knows where": ([vm("a", host="h1", cpu_pinning="0"), vm("b", cpu_pinning="0")],
                                       ("pinned_cpus", "pinning_shared"), (1, None)),
    "pinned to nonsense": ([vm("a", cpu_pinning="0-2,x"), vm("b", cpu_pinning="0")], ("pinned_cpus",), (None,)),
    "a site is not a VM": ([shop("a"), {**shop("lab"), "kind": "site"}], ("sibling_count",), (0,)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_facts(case: tuple[list[Vm], tuple[str, ...], tuple[Any, ...]]) -> None:
    documents, keys, expected = case
    assert facts(documents, *keys)[0] == expected


NEIGHBOURS: dict[str, tuple[list[Vm], list[str | None], list[str | None]]] = {
    "none": ([on("a", "x", environment="production")], [], []),
    "one network": ([on("a", "x", environment="production"), on("b", "x", environment="test", data="public")],
                    ["test"], ["public"]),
    "two networks": ([on("a", "x"), on("b", "y", environment="test")], [], []),
    "one VLAN of two networks": ([on("a", "x", 7), on("b", "y", 7, environment="test")], ["test"], ["unset"]),
    "VLANs of one network": ([on("a", "x", 7), on("b", "x", 8, environment="test")], [], []),
    "user-mode networking": ([on("a", "user"), on("b", "user", environment="test")], [], []),
    "a word of their own": ([on("a", "x"), on("b", "x", environment="qa", data="pii")], ["other"], ["other"]),
    "its like": ([on("a", "x", environment="test"), on("b", "x", environment="test")], ["test"], ["unset"]),
    "another site": ([on("a", "x"), {**on("b", "x", environment="test"), "site": "t"}], [], []),
    "a network that is told later": ([on("a", "x"), {**on("b", "x"), "unknown": ["nics[0].network"]}], [None], [None]),
    "tags that are told later": ([on("a", "x"), {**on("b", "x"), "unknown": ["tags"]}], [None], [None]),
}


@pytest.mark.parametrize("case", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours(case: tuple[list[Vm], list[str | None], list[str | None]]) -> None:
    documents, environments, data = case
    found = normal(enrich(documents)[0])["neighbours"]
    said = {key: [None if isinstance(kind, Absent) else kind for kind in kinds] for key, kinds in found.items()}
    assert said == {"environments": environments, "data": data}
    assert all(not kind.settled for kinds in found.values() for kind in kinds if isinstance(kind, Absent))


def test_neighbours_of_a_vm_whose_own_network_comes_later_come_later() -> None:
    found = normal(enrich([{**on("a", "x"), "unknown": ["nics[0].network"]}, on("b", "x")])[0])["neighbours"]
    assert isinstance(found, Absent)
    assert not found.settled


def test_a_neighbour_that_is_known_fails_whatever_else_comes_later() -> None:
    rules = [rule for rule in load_rules(["muster/placement"]) if rule.id == "production-apart-from-tests"]
    later = {**on("c", "x"), "unknown": ["nics"]}
    first = on("a", "x", environment="production")
    for others, outcome in (([on("b", "x", environment="test"), later], "fail"), ([later], "unknown"),
                            ([on("b", "y", environment="test")], "pass")):
        (finding, *_rest) = check(enrich([first, *others]), rules, "plan").findings
        assert (finding.vm, finding.outcome) == ("a", outcome)


def test_the_documentation_names_every_field_that_a_rule_may_read() -> None:
    text = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
    table = text[text.index("## Documents"):text.index("## Expressions")]
    named = set(re.findall(r"`([a-z_]+)(?:\[\])?`", table))
    assert named >= VM_FACTS | SITE_FACTS


def test_a_large_group_costs_what_its_vms_cost() -> None:
    """5,000 VMs that all share everything: each names a few of the others, and counts all."""
    many = [web(f"v{number}", tags={"service": "shop", "environment": f"e{number}" if number % 2 else "production"},
                nics=[{"name": "nic0", "network": "x"}], host=f"h{number % 50}", cpu_pinning="0-63", platform="libvirt")
            for number in range(5_000)]
    found = enrich(many)
    assert all(document["peer_count"] == 4_999 and document["peers_on_host"] == 99 for document in found)
    assert all(len(document["peers"]) == SHOWN for document in found)
    assert all(document["name"] not in {peer["name"] for peer in document["peers"]} for document in found[:50])
    assert found[0]["sibling_count"] == 2_499
    assert found[0]["neighbours"] == {"environments": ["other", "production"], "data": ["unset"]}
    # what is added to a VM is bounded however many there are: no list of all others is ever built
    assert max(len(document[key]) for document in found for key in ("peers", "siblings")) <= SHOWN


_ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=8)
_WORDS = st.sampled_from(["a", "b", "0-1", "user", "production", "on", ""])
_VM = st.dictionaries(
    st.sampled_from(["site", "anti_affinity", "host", "zone", "power", "tags", "nics", "cpu_pinning", "unknown",
                     "platform", "kind", "name"]),
    _WORDS | _ANY | st.lists(st.dictionaries(st.sampled_from(["network", "vlan"]), _WORDS | st.integers(0, 5)))
    | st.dictionaries(st.sampled_from(["service", "environment", "data"]), _WORDS) | st.just(["tags", "nics[0]"]),
    max_size=10)


@given(st.lists(_VM, max_size=6))
def test_whatever_documents_hold_they_are_enriched_and_left_as_they_were(documents: list[Vm]) -> None:
    before = copy.deepcopy(documents)
    found = enrich(documents)
    assert documents == before
    assert len(found) == len(documents)
    for document, was in zip(found, before, strict=True):
        added = set() if was.get("kind") == "site" else {"unknown"}
        assert {key: document[key] for key in was.keys() - added} == {key: was[key] for key in was.keys() - added}
        assert was.get("kind") != "site" or document == was
        assert document.get("peer_count", 0) < len(documents)


@given(st.lists(_VM, min_size=2, max_size=6), st.randoms())
def test_the_order_of_the_documents_changes_no_fact(documents: list[Vm], random: Any) -> None:
    numbered = [{**document, "n": number} for number, document in enumerate(documents)]
    shuffled = list(numbered)
    random.shuffle(shuffled)
    told = [{document["n"]: {key: value for key, value in document.items() if key not in ("peers", "siblings")}
             for document in enrich(some)} for some in (numbered, shuffled)]
    assert told[0] == told[1]


def test_the_facts_are_told_as_what_they_are() -> None:
    """`FROM_OTHERS` decides whether a check needs `enrich` at all, so one that is not in it would always be unknown."""
    vms = [{"name": name, "site": "a", "platform": "libvirt", "host": name, "zone": "z", "power": "on",
            "anti_affinity": "g", "cpu_pinning": "0-1", "tags": {"service": "s", "environment": "test"},
            "nics": [{"network": "n"}]} for name in ("x", "y")]
    assert set(enrich(vms)[0]) - set(vms[0]) == FROM_OTHERS.keys()
