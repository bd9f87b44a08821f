"""The packs that come with Muster: every rule is run on the documents that it carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster.policy import load_rules
from muster.policy.packfile import PACKS, PackError, shipped
from muster.policy.selftest import failures


@pytest.mark.parametrize("pack", shipped())
def test_each_rule_passes_and_fails_its_own_documents(pack: str) -> None:
    rules = load_rules([pack])
    assert failures(rules) == []
    assert {rule.pack for rule in rules} == {pack}


@pytest.mark.parametrize("pack", shipped())
def test_every_shipped_file_is_a_pack_that_names_itself(pack: str) -> None:
    path = PACKS / f"{pack.removeprefix('muster/')}.yml"
    assert f"pack: {pack}\n" in path.read_text(encoding="utf-8")


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
    "duplicate key": (PACK + "    why: Again.\n", ["ours.yml:12:", "'why' is there twice"]),
    "alias": (PACK.replace("[{memory: 1}]", "&a [{memory: 1}]"), ["ours.yml:11:", "anchors and aliases"]),
    "tag": (PACK.replace("Because.", "!!python/object:os.system {}"), ["ours.yml:10:", "tags are refused"]),
    "ambiguous word": (PACK.replace("memory: 0}", "memory: no}"), ["ours.yml:11:", "'no' is read in two ways"]),
    "octal": (PACK.replace("memory: 0}", "memory: 0644}"), ["ours.yml:11:", "'0644' is read in two ways"]),
    "severity": (PACK.replace("low", "urgent"), ["rule memory-set", "'urgent'", "critical"]),
    "stage": (PACK.replace("[spec]", "[speck]"), ["rule memory-set", "'speck'", "guest"]),
    "no why": (PACK.replace("    why: Because.\n", ""), ["rule memory-set", "'why' is missing"]),
    "no failing document": (PACK.replace(", fail: [{memory: 0}]", ""), ["rule memory-set", "'tests'"]),
    "empty tests": (PACK.replace("[{memory: 0}]", "[]"), ["rule memory-set", "'tests.fail'"]),
    "unreadable expression": (PACK.replace("> `0`", "> `0"), ["rule memory-set", "'expect' cannot be read"]),
    "unknown function": (PACK.replace("memory > `0`", "evil(memory)"), ["rule memory-set", "evil()", "present"]),
    "null": (PACK.replace("> `0`", "!= `null`"), ["rule memory-set", "present("]),
    "bad id": (PACK.replace("id: memory-set", "id: ../x"), ["rule 1", "'../x'"]),
    "twice": (PACK + PACK[PACK.index("  - id"):], ["ours.yml:12: rule memory-set", "ours.yml:5 has a rule"]),
    "no rules": (PACK[:PACK.index("rules:")] + "rules: []\n", ["'rules' is missing, empty"]),
    "not yaml": ("rules: [", ["cannot be read"]),
    "two documents": (PACK + "---\n" + PACK, ["second document"]),
    "deep": ("a: " + "[" * 10_000, ["nested deeper"]),
    "empty": ("", ["is not a mapping"]),
    "list": ("- 1\n", ["is not a mapping"]),
    "reads nothing": (PACK.replace("memory > `0`", "size('1 GiB') > `0`"), ["ours.yml:9: rule", "can never match"]),
    "misspelt field": (PACK.replace("memory > `0`", "memroy > `0`"), ["can never match", "did you mean 'memory'?"]),
    "misspelt in when": (PACK + "    when: tag.owner == 'x'\n", ["ours.yml:12:", "'when' can never match", "'tags'"]),
    "about": (PACK + "    about: fleet\n", ["ours.yml:12: rule memory-set", "write vm or site"]),
    "a site's guest": (PACK.replace("[spec]", "[guest]") + "    about: site\n", ["can never match", "has no guest"]),
    "level": (PACK + "    level: 3\n", ["ours.yml:12: rule memory-set", "write 1 or 2"]),
    "level of text": (PACK + "    level: one\n", ["'level' is missing, empty or not a whole number"]),
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
    with pytest.raises(PackError, match=r"rule tag-owner: muster/common/tags.yml:[0-9]+ has a rule of this id too"):
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


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


HEAD = "pack: ours/{0}\nversion: 1.0.0\ntitle: Ours\n"


def _including(*names: str) -> str:
    return HEAD.format("all") + f"include: [{', '.join(names)}]\n"


def test_a_file_that_two_packs_include_counts_once(tmp_path: Path) -> None:
    _write(tmp_path, a=_including("common/x.yml"), b=_including("common/x.yml"), common__x=PACK)
    rules = load_rules(["a.yml", "b.yml"], base=tmp_path)
    assert [(rule.id, rule.pack) for rule in rules] == [("memory-set", "a.yml")]
    assert rules[0].source.endswith("common/x.yml:5")


def test_a_pack_takes_some_rules_of_a_file(tmp_path: Path) -> None:
    other = PACK.split("rules:\n")[1].replace("memory-set", "memory-too")
    some = "{file: b.yml, rules: [memory-too]}"
    _write(tmp_path, a=_including(some), b=PACK + other, c=_including(some, "b.yml"))
    assert [rule.id for rule in load_rules(["a.yml"], base=tmp_path)] == ["memory-too"]
    both = load_rules(["a.yml", "b.yml", "c.yml"], base=tmp_path)
    assert [(rule.id, rule.pack) for rule in both] == [("memory-too", "a.yml"), ("memory-set", "b.yml")]


def test_files_that_include_each_other_often_are_read_once(tmp_path: Path) -> None:
    """Two to the power of 40 ways lead to the last one."""
    for number in range(40):
        _write(tmp_path, **{f"f{number}": _including(*[f"f{number + 1}.yml"] * 2)})
    _write(tmp_path, f40=PACK)
    assert len(load_rules(["f0.yml"], base=tmp_path)) == 1


WAYS_OUT = {
    "a rule that is not there": ("{file: b.yml, rules: [memory-sat]}", "none of this id; did you mean 'memory-set'"),
    "a list as a rule": ("{file: b.yml, rules: [[a]]}", "has none of this id"),
    "no rule": ("{file: b.yml, rules: []}", "'rules' is missing, empty or not a list"),
    "another key": ("{file: b.yml, rules: [memory-set], as: x}", "'as' is not a key here"),
    "up": ("../x.yml", "not a path below"),
    "absolute": ("/etc/passwd", "not a path below"),
    "a link": ("common/link/x.yml", "symbolic link leads out"),
    "itself": ("a.yml", "includes this file again"),
    "a circle": ("common/back.yml", "is not a path below|includes this file again|loop"),
    "missing": ("common/missing.yml", "cannot be opened"),
    "a number": ("5", "not a path below"),
}


@pytest.mark.parametrize(("name", "part"), WAYS_OUT.values(), ids=WAYS_OUT.keys())
def test_an_include_that_loops_or_leaves_its_folder_is_refused(tmp_path: Path, name: str, part: str) -> None:
    inside, outside = tmp_path / "packs", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    _write(outside, x=PACK)
    _write(inside, a=_including(name), b=PACK, common__back=_including("../a.yml"))
    (inside / "common" / "link").symlink_to(outside)
    with pytest.raises(PackError, match=part):
        load_rules(["a.yml"], base=inside)


def test_files_that_include_each_other_are_a_circle(tmp_path: Path) -> None:
    _write(tmp_path, a=_including("b.yml"), b=_including("a.yml"))
    with pytest.raises(PackError, match=r"b.yml:4: includes 'a.yml', which includes this file again"):
        load_rules(["a.yml"], base=tmp_path)
