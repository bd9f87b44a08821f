"""What a rule can know of one VM only by looking at the others: who shares its service, its group, its VLAN, its CPUs.

`enrich` takes all documents of one check and returns them with these facts added. It costs time and memory in
proportion to the VMs, however large a group is: VMs are counted by group, and lists of others show the first few.
docs/policy.md says what each fact means.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

SHOWN = 10  # others that a list names; its count says how many there are
ENVIRONMENTS = ("production", "staging", "test", "development")
DATA = ("public", "internal", "personal", "confidential")
_MAX_CPUS = 4096  # of one VM's pinning
_MAX_TEXT = 255
_CPUS = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")

Document = dict[str, Any]

# What `enrich` adds.
FROM_OTHERS: dict[str, str] = {
    "peers": "Other VMs of its anti-affinity group at its site, ten at most.",
    "peer_count": "How many there are.",
    "peers_on_host": "How many of them are on its host.",
    "siblings": "Other VMs with its tags service and environment, ten at most.",
    "sibling_count": "How many there are.",
    "siblings_running": "How many of them run.",
    "service_hosts": "How many hosts the VMs of its service are on.",
    "service_zones": "How many zones the VMs of its service are in.",
    "neighbours": "Environments and classes of data of the VMs that share a VLAN with it.",
    "pinned_cpus": "How many CPUs of the host it is pinned to.",
    "pinning_shared": "Whether another VM is pinned to one of these.",
}


def enrich(documents: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Copies of `documents`, in their order, those of VMs with the facts of this file. Nothing given is changed.

    What another VM's missing value leaves open is left out, or listed in ``unknown`` where it comes with the apply.
    """
    copies = [dict(document) for document in documents]
    vms = [document for document in copies if document.get("kind") != "site"]
    for document in vms:
        if isinstance(document.get("unknown"), list):
            document["unknown"] = list(document["unknown"])
    _peers(vms)
    _siblings(vms)
    _neighbours(vms)
    _pinning(vms)
    return copies


# Groups


def _peers(vms: Sequence[Document]) -> None:
    """The others of a VM's `anti_affinity` group at its site."""
    groups: defaultdict[Hashable, list[Document]] = defaultdict(list)
    hazy = any(_later(vm, "anti_affinity") for vm in vms)
    for vm in vms:
        group = _text(vm, "anti_affinity")
        if group:
            groups[_text(vm, "site"), group].append(vm)
    for members in groups.values():
        shown = [_summary(vm) for vm in members[: SHOWN + 1]]
        hosts = Counter(_text(vm, "host") for vm in members)
        for number, vm in enumerate(members):
            vm["peers"], vm["peer_count"] = _others(shown, number), len(members) - 1
            host = _text(vm, "host")
            same = hosts[host] - 1 if host else 0
            if same or len(members) == 1 or (host and not hosts[""]):
                vm["peers_on_host"] = same
                if not same and hazy:
                    _later_too(vm, "peers_on_host")


def _siblings(vms: Sequence[Document]) -> None:
    """The others with a VM's tags `service` and `environment`, at any site, and how far the service is spread."""
    groups: defaultdict[Hashable, list[Document]] = defaultdict(list)
    hazy = any(_later(vm, "tags.service") or _later(vm, "tags.environment") for vm in vms)
    for vm in vms:
        service = _tag(vm, "service")
        if service and not _later(vm, "tags.environment"):
            groups[service, _tag(vm, "environment")].append(vm)
    for members in groups.values():
        shown = [_summary(vm) for vm in members[: SHOWN + 1]]
        powers = Counter(_text(vm, "power") for vm in members)
        spread = {f"service_{plural}": _places(members, one) for plural, one in (("hosts", "host"), ("zones", "zone"))}
        for number, vm in enumerate(members):
            vm["siblings"], vm["sibling_count"] = _others(shown, number), len(members) - 1
            if not powers[""] and not powers["unknown"]:
                vm["siblings_running"] = powers["on"] - (_text(vm, "power") == "on")
            vm.update({key: number_ for key, number_ in spread.items() if number_ is not None})
            if hazy and len(members) == 1:
                _later_too(vm, "sibling_count")


def _places(members: Sequence[Document], key: str) -> int | None:
    """How many hosts or zones the VMs are spread over; None where one of them does not tell."""
    places = {(_text(vm, "site"), _text(vm, key)) for vm in members}
    return len(places) if all(place for _site, place in places) else None


def _others(shown: list[Document], number: int) -> list[Document]:
    """The first of `shown` but for the VM's own, which is `number`."""
    return [other for place, other in enumerate(shown) if place != number][:SHOWN]


def _summary(vm: Mapping[str, Any]) -> Document:
    """What a list shows of `vm`: cut, so that no VM's text can make the documents of others too long."""
    return {key: vm[key][:_MAX_TEXT] for key in ("name", "site", "host", "zone", "power")
            if isinstance(vm.get(key), str)}


# Networks


def _neighbours(vms: Sequence[Document]) -> None:
    """The kinds of VMs that share a VLAN, or a network without one, with a VM: their environments and data.

    User-mode networking is each VM's own and shared with nobody.
    """
    found = [(vm, _segments(vm), _kind(vm, "environment", ENVIRONMENTS), _kind(vm, "data", DATA)) for vm in vms]
    environments: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
    data: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
    hazy = {_text(vm, "site") for vm, segments, _environment, _data in found if segments is None}
    for _vm, segments, environment, class_ in found:
        for segment in segments or ():
            environments[segment][environment] += 1
            data[segment][class_] += 1
    for vm, segments, environment, class_ in found:
        if segments is None:
            _later_too(vm, "neighbours")
            continue
        neighbours: dict[str, list[Any]] = {}
        for key, counted, mine in (("environments", environments, environment), ("data", data, class_)):
            kinds = {kind for one in segments for kind, number in counted[one].items() if number > (kind == mine)}
            listed: list[Any] = sorted(kinds - {_UNKNOWN})
            if _UNKNOWN in kinds or (segments and _text(vm, "site") in hazy):
                _later_too(vm, f"neighbours.{key}[{len(listed)}]")
                listed.append(None)
            neighbours[key] = listed
        vm["neighbours"] = neighbours


_UNKNOWN = "?"


def _segments(vm: Mapping[str, Any]) -> set[Hashable] | None:
    """What the NICs of a VM are connected to; None where that is known only after apply."""
    if _later(vm, "nics"):
        return None
    nics = vm.get("nics")
    segments: set[Hashable] = set()
    for nic in nics if isinstance(nics, list) else ():
        if isinstance(nic, Mapping):
            vlan, network = nic.get("vlan"), nic.get("network")
            if isinstance(vlan, int) and vlan:
                segments.add((_text(vm, "site"), vlan))
            elif isinstance(network, str) and network not in ("", "user"):
                segments.add((_text(vm, "site"), network))
    return segments


def _kind(vm: Mapping[str, Any], tag: str, known: Sequence[str]) -> str:
    """The VM's tag as one of few words: so many different ones that a tag can hold would not be bounded."""
    if _later(vm, f"tags.{tag}"):
        return _UNKNOWN
    text = _tag(vm, tag)
    return text if text in known else "other" if text else "unset"


# CPUs of the host


def _pinning(vms: Sequence[Document]) -> None:
    """How many CPUs a VM is pinned to, and whether another is pinned to one of them."""
    used: Counter[Hashable] = Counter()
    pinned = [(vm, _host(vm), cpus) for vm in vms if (cpus := _cpuset(_text(vm, "cpu_pinning")))]
    homeless = {_text(vm, "site") for vm, host, _cpus in pinned if host is None}
    for _vm, host, cpus in pinned:
        if host is not None:
            used.update((host, cpu) for cpu in cpus)
    for vm, host, cpus in pinned:
        vm["pinned_cpus"] = len(cpus)
        shared = host is not None and any(used[host, cpu] > 1 for cpu in cpus)
        if shared or _text(vm, "site") not in homeless:
            vm["pinning_shared"] = shared


def _host(vm: Mapping[str, Any]) -> Hashable | None:
    """What identifies the host of a VM; a libvirt site is one host."""
    host = "" if _text(vm, "platform") == "libvirt" else _text(vm, "host")
    return (_text(vm, "site"), host) if host or _text(vm, "platform") == "libvirt" else None


def _cpuset(text: str) -> set[int]:
    """The numbers of ``0-3,8``; empty for what is none, or names more CPUs than any host has."""
    cpus: set[int] = set()
    named = 0
    for part in text.split(",", _MAX_CPUS):
        match = _CPUS.fullmatch(part.strip())
        if match is None:
            return set()
        part_of = range(int(match[1]), int(match[2] or match[1]) + 1)
        named += len(part_of)  # also those that are named twice
        if named > _MAX_CPUS:
            return set()
        cpus.update(part_of)
    return cpus


# Values that may be missing, of another type, or known only later


def _text(vm: Mapping[str, Any], key: str) -> str:
    value = vm.get(key)
    return value if isinstance(value, str) else ""


def _tag(vm: Mapping[str, Any], key: str) -> str:
    tags = vm.get("tags")
    value = tags.get(key) if isinstance(tags, Mapping) else None
    return value if isinstance(value, str) else ""


def _later(vm: Mapping[str, Any], path: str) -> bool:
    """Whether the value at `path`, something above it or something in it is known only after apply."""
    unknown = vm.get("unknown")
    if isinstance(unknown, list):
        for one in unknown:
            if isinstance(one, str) and (one.startswith(path) or path.startswith(one)):
                rest = one[len(path):] or path[len(one):]
                if not rest or rest[0] in ".[":
                    return True
    return False


def _later_too(vm: Document, path: str) -> None:
    vm.setdefault("unknown", [])
    if isinstance(vm["unknown"], list):
        vm["unknown"].append(path)
