"""The packs that come with Muster: every rule is run on the documents that it carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster.policy import load_rules
from muster.policy.packfile import PACKS, PackError, shipped
from muster.policy.selftest import Case, cases, failures, run

ALL = [case for name in shipped() for case in cases(load_rules([name]))]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_each_rule_passes_and_fails_its_own_documents(case: Case) -> None:
    assert run(case) == ""


def test_every_shipped_file_is_a_pack_that_names_itself() -> None:
    for path in PACKS.iterdir():
        assert path.suffix == ".yml"
        assert f"pack: muster/{path.stem}\n" in path.read_text(encoding="utf-8")


def test_the_shipped_packs_load_together() -> None:
    rules = load_rules(shipped())
    assert len(rules) >= 18
    assert len({rule.id for rule in rules}) == len(rules)


PACK = """\
pack: ours
version: 0.1.0
title: Ours
rules:
  - id: memory-set
    title: Memory is set
    severity: low
    stages: [spec]
    expect: memory > `0`
    why: Because.
    tests: {pass: [{memory: 1}], fail: [{memory: 0}]}
"""

BROKEN = {
    "unknown key": (PACK + "    colour: red\n", ["rule memory-set", "'colour'"]),
    "duplicate key": (PACK + "    why: Again.\n", ["line 12", "'why' is there twice"]),
    "alias": (PACK.replace("[{memory: 1}]", "&a [{memory: 1}]"), ["line 11", "anchors and aliases"]),
    "tag": (PACK.replace("Because.", "!!python/object:os.system {}"), ["line 10", "tags are refused"]),
    "ambiguous word": (PACK.replace("memory: 0}", "memory: no}"), ["line 11", "'no' is read in two ways"]),
    "octal": (PACK.replace("memory: 0}", "memory: 0644}"), ["line 11", "'0644' is read in two ways"]),
    "severity": (PACK.replace("low", "urgent"), ["rule memory-set", "'urgent'", "critical"]),
    "stage": (PACK.replace("[spec]", "[speck]"), ["rule memory-set", "'speck'", "guest"]),
    "no why": (PACK.replace("    why: Because.\n", ""), ["rule memory-set", "'why' is missing"]),
    "no failing document": (PACK.replace(", fail: [{memory: 0}]", ""), ["rule memory-set", "'tests'"]),
    "empty tests": (PACK.replace("[{memory: 0}]", "[]"), ["rule memory-set", "'tests.fail'"]),
    "unreadable expression": (PACK.replace("> `0`", "> `0"), ["rule memory-set", "'expect' cannot be read"]),
    "unknown function": (PACK.replace("memory > `0`", "evil(memory)"), ["rule memory-set", "evil()", "present"]),
    "null": (PACK.replace("> `0`", "!= `null`"), ["rule memory-set", "present("]),
    "bad id": (PACK.replace("id: memory-set", "id: ../x"), ["rule 1", "'../x'"]),
    "twice": (PACK + PACK[PACK.index("  - id"):], ["rule memory-set", "there twice"]),
    "no rules": (PACK[:PACK.index("rules:")] + "rules: []\n", ["'rules' is missing, empty"]),
    "not yaml": ("rules: [", ["cannot be read"]),
    "two documents": (PACK + "---\n" + PACK, ["second document"]),
    "deep": ("a: " + "[" * 10_000, ["nested deeper"]),
    "empty": ("", ["is not a mapping"]),
    "list": ("- 1\n", ["is not a mapping"]),
    "mixed fix": (PACK + "    fix: {advice: Do, sshd: {}}\n", ["rule memory-set", "'fix' mixes"]),
    "controls": (PACK + "    controls: {nist_800_53: AC-6}\n", ["rule memory-set", "nist_800_53"]),
}


@pytest.mark.parametrize(("text", "parts"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_pack_is_one_sentence_with_file_rule_and_fix(tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "ours.yml").write_text(text, encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_rules(["ours.yml"], base=tmp_path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    for part in ("ours.yml", *parts):
        assert part in message


def test_a_sound_pack_loads_from_a_path(tmp_path: Path) -> None:
    (tmp_path / "ours.yml").write_text(PACK, encoding="utf-8")
    assert failures(load_rules(["muster/baseline", "./ours.yml"], base=tmp_path)) == []


def test_a_rule_that_lies_about_its_documents_is_told(tmp_path: Path) -> None:
    (tmp_path / "ours.yml").write_text(PACK.replace("memory: 1", "memory: -1"), encoding="utf-8")
    assert ["document 1 of tests.pass gave fail" in line for line in failures(load_rules(["ours.yml"], tmp_path))] \
        == [True]


def test_one_id_in_two_packs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ours.yml").write_text(PACK.replace("memory-set", "tag-owner"), encoding="utf-8")
    with pytest.raises(PackError, match="rule tag-owner: the pack muster/baseline has a rule of this id too"):
        load_rules(["muster/baseline", "ours.yml"], base=tmp_path)


@pytest.mark.parametrize("name", ["muster/nothing", "muster/../../etc/passwd", "muster/", "missing.yml", "."])
def test_a_pack_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackError):
        load_rules([name], base=tmp_path)


def test_a_symbolic_link_is_not_followed_and_its_target_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:hunter2:0\n", encoding="utf-8")
    (tmp_path / "ours.yml").symlink_to(tmp_path / "secret")
    with pytest.raises(PackError, match="symbolic link is not followed") as caught:
        load_rules(["ours.yml"], base=tmp_path)
    assert "hunter2" not in str(caught.value)


def test_what_an_unreadable_file_holds_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "ours.yml").write_text("root:hunter2: : [\n", encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_rules(["ours.yml"], base=tmp_path)
    assert "hunter2" not in str(caught.value)
