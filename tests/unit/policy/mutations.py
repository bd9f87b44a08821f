"""Breaks one thing for each rule: a compliant VM in which the rule passes, and the smallest change that makes it fail.

Nothing here knows what a rule means. For each rule a VM is grown from a document that the rule must pass: pieces of
the passing documents of other rules are put in until every rule passes it or does not apply. Then pieces of the
documents that the rule must fail are put in, the smallest first, until it fails.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muster.policy.documents import normal
from muster.policy.evaluate import verdict
from muster.policy.rule import Rule
from muster.policy.selftest import NOW

Document = dict[str, Any]
Path = tuple[str, ...]
_BAD = ("fail", "unknown", "error")
_ROUNDS = 200


@dataclass(frozen=True)
class Edit:
    """`value` put at `path`; None takes away what is there. Without a path, `value` laid over the whole document."""

    path: Path
    value: Any = None

    def on(self, document: Mapping[str, Any]) -> Document:
        """A copy of `document` with the edit."""
        if not self.path:
            return _merged(document, self.value)
        edited = copy.deepcopy(dict(document))
        place: Any = edited
        for step in self.path[:-1]:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        if self.value is None:
            place.pop(self.path[-1], None)
        else:
            place[self.path[-1]] = copy.deepcopy(self.value)
        return edited


@dataclass(frozen=True)
class Mutation:
    """The edit that breaks `rule` in a compliant VM, and the ids of the rules that then fail."""

    rule: str
    edit: Edit
    found: frozenset[str]


def outcomes(rules: Iterable[Rule], document: Mapping[str, Any]) -> dict[str, str]:
    """The outcome of each rule for `document`, by id."""
    plain = normal(document)
    return {rule.id: verdict(rule, plain, NOW)[0] for rule in rules}


def united(documents: Iterable[Mapping[str, Any]]) -> Document:
    """All of `documents` in one; of lists of texts the items of all."""
    whole: Document = {}
    for document in documents:
        whole = _merged(whole, document, unite=True)
    return whole


@dataclass(frozen=True)
class Matrix:
    """What a set of rules finds in VMs that were broken. `unreached` are rules that pass in no compliant VM, `unbroken`
    those that nothing makes fail."""

    mutations: tuple[Mutation, ...]
    vms: int
    unreached: tuple[str, ...]
    unbroken: tuple[str, ...]


def matrix(rules: Sequence[Rule], bases: Sequence[Mapping[str, Any]],
           tolerated: Mapping[str, Iterable[str]]) -> Matrix:
    """Grow compliant VMs from `bases` until each of `rules` passes in one of them, and break each rule there.

    `tolerated` names, for a rule that asks something of what another rule forbids, these others.
    """
    vms = [(dict(base), outcomes(rules, base)) for base in bases]
    vms = [(vm, found) for vm, found in vms if not any(outcome in _BAD for outcome in found.values())]
    made: list[Mutation] = []
    unreached, unbroken = [], []
    for rule in rules:
        others = [one for one in rules if one.id not in tolerated.get(rule.id, ())]
        passing = [vm for vm, found in vms if found[rule.id] == "pass"]
        if not passing:
            vm = compliant(rule, others, bases)
            if vm is None:
                unreached.append(rule.id)
                continue
            passing = [vm]
            vms.append((vm, outcomes(rules, vm)))
        change = next((change for vm in passing if (change := mutation(rule, others, vm))), None)
        if change is None:
            unbroken.append(rule.id)
        else:
            made.append(change)
    return Matrix(tuple(made), len(vms), tuple(unreached), tuple(unbroken))


def compliant(rule: Rule, rules: Sequence[Rule], bases: Iterable[Mapping[str, Any]]) -> Document | None:
    """A VM that `rule` passes and no other rule finds fault with, grown from one of `bases`; None if none is found."""
    for base in bases:
        for seed in ({}, *rule.passing):
            document = _grown(_merged(base, seed), rule, rules)
            if not _bad(rules, document, rule):
                return document
    return None


def _grown(document: Document, rule: Rule, rules: Sequence[Rule]) -> Document:
    """`document` with pieces of what the rules must pass, until none finds fault: the piece that mends a rule and
    offends the fewest others is put in, though it may offend more than it mends; a rule that was just mended waits."""
    by_id = {one.id: one for one in rules}
    tried: set[tuple[str, Path, str]] = set()
    bad = _bad(rules, document, rule)
    mended: dict[str, int] = {}
    for number in range(_ROUNDS):
        if not bad:
            break
        name = min(bad, key=lambda one: (mended.get(one, -1), one))
        mended[name] = number
        choices = []
        for edit in _edits(by_id[name], by_id[name].passing, document):
            key = (name, edit.path, repr(edit.value))
            if key in tried:
                continue
            edited = edit.on(document)
            left = _bad(rules, edited, rule)
            if name not in left:
                choices.append((len(left), len(choices), key, edited, left))
                if len(left) < len(bad):
                    break
        if choices:
            _number, _order, key, document, bad = min(choices, key=lambda choice: choice[:2])
            tried.add(key)
    return document


def _bad(rules: Iterable[Rule], document: Mapping[str, Any], kept: Rule) -> set[str]:
    """The rules that find fault; `kept` must pass, not only not apply."""
    found = outcomes(rules, document)
    return {name for name, outcome in found.items() if outcome in _BAD} | (
        {kept.id} if found[kept.id] != "pass" else set())


def mutation(rule: Rule, rules: Sequence[Rule], document: Document) -> Mutation | None:
    """The edit of a compliant `document` that makes `rule` fail and the fewest others with it."""
    best: Mutation | None = None
    for edit in _edits(rule, rule.failing, document):
        found = outcomes(rules, edit.on(document))
        if found[rule.id] == "fail":
            failed = frozenset(name for name, outcome in found.items() if outcome == "fail")
            if best is None or len(failed) < len(best.found):
                best = Mutation(rule.id, edit, failed)
            if len(failed) == 1:
                break
    return best


def _edits(rule: Rule, donors: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Iterator[Edit]:
    """Edits that bring `document` nearer to one of `donors` in what `rule` reads, the smallest first."""
    expressions = [rule.expect, *([rule.when] if rule.when else [])]
    read = [tuple(step for step in steps if isinstance(step, str))[:_first_index(steps)]
            for expression in expressions for _path, steps in expression.steps]
    small: list[Edit] = []
    for path in dict.fromkeys(read):
        there = _value(document, path)
        if isinstance(there, list) and there and all(isinstance(item, str) for item in there):
            small.extend(Edit(path, [item for item in there if item != one]) for one in there)
            given = (_value(donor, path) for donor in donors)
            small.extend(Edit(path, [*there, item]) for items in given if isinstance(items, list)
                         for item in items if item not in there)
    for donor in donors:
        for path, value in _leaves(donor):
            if _value(document, path) != value:
                small.append(Edit(path, value))
        for path in read:
            if _value(document, path) is not None and _value(donor, path) is None:
                small.append(Edit(path))
    small.sort(key=lambda edit: not any(edit.path[: len(path)] == path for path in read))
    yield from small
    for donor in donors:
        for key, value in donor.items():
            there = document.get(key)
            if isinstance(value, list) and isinstance(there, list) and value and there:
                yield Edit((key,), [_joined(item, value[min(number, len(value) - 1)])
                                    for number, item in enumerate(there)])
                yield Edit((key,), [_joined(there[min(number, len(there) - 1)], item)
                                    for number, item in enumerate(value)])
                yield Edit((key,), [*there, *(_joined(there[-1], item) for item in value)])
            if isinstance(value, dict) and there != value:
                yield Edit((key,), _merged(there, value) if isinstance(there, dict) else value)
                if len(there or ()) < 10:  # what a guest says of itself is never thrown away as a whole
                    yield Edit((key,), value)
    for donor in donors:
        yield Edit((), donor)


def _first_index(steps: Sequence[str | int]) -> int | None:
    """Where a path goes into a list: lists are edited whole."""
    return next((number for number, step in enumerate(steps) if isinstance(step, int)), None)


def _leaves(value: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key), item


def _value(document: Any, path: Path) -> Any:
    for step in path:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document


def _joined(item: Any, over: Any) -> Any:
    return _merged(item, over) if isinstance(item, dict) and isinstance(over, dict) else copy.deepcopy(over)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], unite: bool = False) -> Document:
    merged = copy.deepcopy(dict(base))
    for key, value in over.items():
        there = merged.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            merged[key] = _merged(there, value, unite)
        elif unite and isinstance(there, list) and isinstance(value, list) and all(
                isinstance(item, str) for item in (*there, *value)):
            merged[key] = list(dict.fromkeys((*there, *value)))
        elif unite and isinstance(there, list) and isinstance(value, list) and there:
            merged[key] = [_joined(there[min(number, len(there) - 1)], item) for number, item in enumerate(value)]
        else:
            merged[key] = copy.deepcopy(value)
    return merged
