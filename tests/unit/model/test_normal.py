"""The normal form: what is accepted becomes it, what is in it stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from muster.model.errors import ModelErrors
from muster.model.fields import VM_FIELDS
from muster.model.normal import normalise
from muster.model.planner import people
from muster.model.yaml_reader import Word
from vm_strategies import specs

GIB = 1 << 30


@given(specs)
def test_the_normal_form_is_a_fixed_point(spec: dict[str, Any]) -> None:
    assert normalise(spec) == spec


@given(specs)
def test_what_people_read_can_be_written_again(spec: dict[str, Any]) -> None:
    shown = {name: people(value, VM_FIELDS[name]) for name, value in spec.items()}
    assert normalise(shown) == spec


@pytest.mark.parametrize(("given_", "normal"), [
    ({}, {}),
    ({"cpus": None, "disks": None}, {}),
    ({"cpus": "2"}, {"cpus": 2}),
    ({"memory": "2 GiB"}, {"memory": 2 * GIB}),
    ({"memory": 2 * GIB}, {"memory": 2 * GIB}),
    ({"memory": str(2 * GIB)}, {"memory": 2 * GIB}),
    ({"memory_reservation": "0"}, {"memory_reservation": 0}),
    ({"power": True}, {"power": "on"}),
    ({"power": "off"}, {"power": "off"}),
    ({"secure_boot": "yes", "firmware": "uefi"}, {"secure_boot": True, "firmware": "uefi"}),
    ({"zone": 1}, {"zone": "1"}),
    ({"disks": [{"size": "1 GiB"}, {"size": "1 GiB"}]},
     {"disks": [{"name": "root", "size": GIB}, {"name": "disk1", "size": GIB}]}),
    ({"disks": [{"size": "1 GiB", "name": "boot", "pool": None}]}, {"disks": [{"name": "boot", "size": GIB}]}),
    ({"nics": [{"network": "a"}, {"network": "b"}]},
     {"nics": [{"name": "nic0", "network": "a"}, {"name": "nic1", "network": "b"}]}),
    ({"health": [{"http": None, "tcp": {"port": "22"}, "command": None}]}, {"health": [{"tcp": {"port": 22}}]}),
    ({"health": [{"command": {"run": ["head", "-c", 5, Word("0755")]}}]},
     {"health": [{"command": {"run": ["head", "-c", "5", "0755"]}}]}),
    ({"protection": {"rpo": "1d 12h"}}, {"protection": {"rpo": 129600}}),
    ({"tags": {"cost_center": "4711"}}, {"tags": {"cost_center": "4711"}}),
])
def test_what_is_accepted(given_: dict[str, Any], normal: dict[str, Any]) -> None:
    assert normalise(given_) == normal


@pytest.mark.parametrize(("spec", "says"), [
    ({"cpu": 2}, "vm.cpu: there is no field 'cpu'; did you mean 'cpus'?"),
    ({"cpus": True}, "vm.cpus: true is not a whole number; write digits only, such as 2"),
    ({"cpus": 2.5}, "vm.cpus: 2.5 is not a whole number; write digits only, such as 2"),
    ({"cpus": "1e3"}, "vm.cpus: '1e3' is not a whole number; write digits only, such as 2"),
    ({"memory": float("nan")}, "vm.memory: nan is not a size; write a number with a unit, such as '2 GiB'"),
    ({"memory": True}, "vm.memory: True is not a size; write a number with a unit, such as '2 GiB'"),
    ({"profile": True}, "vm.profile: true is not text; write it in quotes"),
    ({"profile": "web\n"}, "vm.profile: 'web\\n' holds a control character; remove it"),
    ({"secure_boot": "maybe"}, "vm.secure_boot: 'maybe' is neither true nor false; write true or false"),
    ({"tags": {"a b": "c"}},
     ("vm.tags.a b: 'a b' cannot be a name here; use letters, digits, '.', '_' and '-', beginning with a letter or "
      "digit, at most 63 characters")),
    ({"tags": {"a": 1.1}}, 'vm.tags.a: 1.1 is not text to every reader of YAML; write it in quotes, "1.1"'),
    ({"tags": {f"t{n}": "x" for n in range(65)}}, "vm.tags: there are 65 entries; at most 64 are possible"),
    ({"tags": {"a": "x" * 257}}, "vm.tags.a: the text has 257 characters; at most 256 are possible"),
    ({"nics": [{"network": "a"}] * 65}, "vm.nics: the list has 65 items; at most 64 are possible"),
    ({"health": [{"command": {"run": ["echo", "{{ x }}"]}}]},
     "vm.health[0].command.run[1]: a template is not allowed, nothing here is rendered; write the value itself"),
    ({"cpu_topology": {"sockets": 1}}, "vm.cpu_topology: 'cores' is missing; add it"),
    ({"disks": [{"size": "1 GiB"}, {"size": "1 GiB", "name": "root"}]},
     "vm.disks[1]: name 'root' is already that of item [0]; choose another"),
])
def test_what_is_refused(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelErrors) as caught:
        normalise(spec)
    assert str(caught.value) == says


def test_every_error_is_told_at_once() -> None:
    with pytest.raises(ModelErrors) as caught:
        normalise({"cpu": 2, "memory": "lots", "disks": [{}]}, path="vms.web")
    assert [error.path for error in caught.value.errors] == ["vms.web.cpu", "vms.web.memory", "vms.web.disks[0]"]


def test_a_flood_of_errors_is_bounded() -> None:
    with pytest.raises(ModelErrors) as caught:
        normalise({f"field{number}": 1 for number in range(50)})
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 30 more; mend these first."
