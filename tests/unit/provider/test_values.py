"""Between Terraform's values and the normal form: nothing is lost, invented, or a change without a difference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.model.fields import VM_FIELDS
from muster.model.normal import normalise
from muster_provider import values
from tf.types import Unknown
from vm_strategies import specs


@given(specs)
def test_what_is_observed_is_read_back(spec: dict[str, Any]) -> None:
    """An import's state, written as configuration, asks for exactly what is there."""
    there = normalise(spec)
    state = values.observed(there)
    read = values.read(state)
    assert read.problems == ()
    assert read.spec == there
    assert values.planned(state, None) == state
    assert values.refreshed(state, there) == state


@given(specs, specs)
def test_a_refresh_shows_what_is_managed_and_nothing_else(one: dict[str, Any], other: dict[str, Any]) -> None:
    state, there = values.observed(normalise(one)), normalise(other)
    now = values.refreshed(state, there)
    assert {name for name, value in now.items() if value is not None} <= {
        name for name, value in state.items() if value is not None}
    assert values.refreshed(now, there) == now


@given(specs, specs)
def test_a_plan_asks_for_the_configuration(one: dict[str, Any], other: dict[str, Any]) -> None:
    prior, config = values.observed(normalise(one)), values.observed(normalise(other))
    plan = values.planned(config, prior)
    assert {name for name, value in config.items() if value is not None} <= {
        name for name, value in plan.items() if value is not None}
    asked = values.read(config).spec
    planned = values.read(plan).spec
    for name, value in asked.items():
        if VM_FIELDS[name]["type"] not in ("dict", "list"):
            assert planned[name] == value
    assert values.planned(config, plan) == plan


@given(specs, st.data())
def test_an_unknown_field_is_never_wrong_or_known(spec: dict[str, Any], data: st.DataObject) -> None:
    state = values.observed(normalise(spec))
    name = data.draw(st.sampled_from(sorted(VM_FIELDS)))
    read = values.read({**state, name: Unknown})
    assert read.problems == ()
    assert name not in read.spec
    assert name in read.document()["unknown"]


@pytest.mark.parametrize(("config", "unknown", "spec"), [
    ({"disks": [{"size": Unknown}]}, ["disks[0].size"], {"disks": [{"name": "root"}]}),
    ({"disks": [{"size": "1 GiB", "name": Unknown}]}, ["disks"], {}),
    ({"disks": [Unknown]}, ["disks"], {}),
    ({"tags": {"owner": Unknown, "a": "b"}}, ["tags.owner"], {"tags": {"a": "b"}}),
    ({"schedule": {"start": Unknown, "stop": "19:00"}}, ["schedule.start"], {"schedule": {"stop": "19:00"}}),
    ({"cpus": Unknown, "cpu_topology": {"sockets": 2, "cores": 2}}, ["cpus"],
     {"cpu_topology": {"sockets": 2, "cores": 2}}),
    ({"firmware": Unknown, "secure_boot": True}, ["firmware"], {"secure_boot": True}),
    ({"health": [{"tcp": Unknown}]}, ["health[0].tcp"], {"health": [{}]}),
])
def test_what_is_not_known_yet(config: dict[str, Any], unknown: list[str], spec: dict[str, Any]) -> None:
    read = values.read(config)
    assert (read.problems, read.document()["unknown"], read.spec) == ((), unknown, spec)


@pytest.mark.parametrize("config", [
    {"disks": Unknown},
    {"disks": [Unknown]},
    {"disks": [{"name": None, "size": "1 GiB"}, Unknown]},
    {"disks": [{"name": Unknown, "size": "1 GiB"}]},
    {"nics": [Unknown]},
    {"nics": [Unknown, {"network": "b"}]},
    {"nics": [{"network": "a", "forwards": [Unknown]}]},
    {"nics": [{"network": "a", "forwards": [{"guest": 22}, Unknown]}]},
    {"health": [Unknown]},
    {"health": [{"tcp": {"port": 22}}, Unknown]},
])
def test_items_that_are_not_known_yet(config: dict[str, Any]) -> None:
    """They are planned as they are asked for, whatever was there."""
    prior = {"disks": [{"name": "root", "size": "1 GiB"}], "nics": [{"network": "a", "forwards": [{"guest": 22}]}],
             "health": [{"tcp": {"port": 22}}]}
    assert values.read(config).problems == ()
    for before in (None, prior, dict.fromkeys(prior)):
        planned = values.planned(config, before)
        for name, value in config.items():
            assert repr(asked(planned[name])) == repr(asked(value))


def asked(value: Any) -> Any:
    """Without what nobody wrote."""
    if isinstance(value, dict):
        return {key: asked(item) for key, item in value.items() if item is not None}
    return [asked(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("prior", "config", "after"), [
    ({"memory": "2 GiB"}, {"memory": "2048 MiB"}, "2 GiB"),
    ({"memory": "2 GiB"}, {"memory": "4 GiB"}, "4 GiB"),
    ({"memory": "2 GiB"}, {}, "2 GiB"),
    ({"memory": None}, {"memory": "2048 MiB"}, "2048 MiB"),
    ({"memory": "2 GiB"}, {"memory": Unknown}, Unknown),
])
def test_the_text_of_a_size(prior: dict[str, Any], config: dict[str, Any], after: Any) -> None:
    assert values.planned(config, prior)["memory"] == after


def test_items_that_change_their_place() -> None:
    """Terraform compares lists by place: text of another place is none that somebody wrote there."""
    prior = {"disks": [{"name": "root", "size": "1 GiB", "pool": "fast"}, {"name": "data", "size": "2 GiB"}]}
    config = {"disks": [{"name": "root", "size": "1024 MiB"}, {"name": "logs", "size": "3 GiB"},
                        {"name": "data", "size": "2048 MiB"}]}
    disks = values.planned(config, prior)["disks"]
    assert [(disk["name"], disk["size"], disk["pool"]) for disk in disks] == [
        ("root", "1 GiB", "fast"), ("logs", "3 GiB", None), ("data", "2048 MiB", None)]


@pytest.mark.parametrize(("keys", "config", "path"), [
    (("disks", 1, "size"), {"disks": [{"size": "a"}, {"size": "b"}]}, ["disks", (1,), "size"]),
    (("disks", 7, "size"), {"disks": [{"size": "a"}]}, ["disks"]),
    (("tags", "owner"), {"tags": {"owner": "x"}}, ["tags", ("owner",)]),
    (("tags", "owner"), {"tags": {}}, ["tags"]),
    (("tags", "owner"), {"tags": None}, ["tags"]),
    (("protection", "deletion"), {"protection": {"deletion": None}}, ["protection"]),
    (("health", 0, "http", "port"), {"health": [{"http": Unknown}]}, ["health", (0,), "http"]),
])
def test_where_a_sentence_stands(keys: tuple[Any, ...], config: dict[str, Any], path: list[Any]) -> None:
    """At what the configuration has: Terraform shows no line for what is not written."""
    assert values.path(keys, config) == path
