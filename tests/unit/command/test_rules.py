"""``muster rules``: list, show, test and docs; and the pages in docs/rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cmarkgfm.cmark import Options, markdown_to_html_with_extensions
from muster.policy import load_rules
from muster.policy.packfile import shipped
from muster.policy.rule_pages import MARK, page
from sample_files import PACK, Done

Muster = Callable[..., Done]
PAGES = Path(__file__).parents[3] / "docs" / "rules"


def test_list_has_a_line_for_each_rule(muster: Muster) -> None:
    done = muster("rules", "list")
    rules = load_rules(shipped())
    assert done.code == 0
    assert all(f"  {rule.id} " in done.out for rule in rules)
    assert done.out.endswith("'muster rules show ID' explains one.\n")


def test_list_by_stage_and_framework(muster: Muster) -> None:
    out = muster("rules", "list", "--pack", "muster/baseline", "--stage", "spec", "--framework", "hipaa").out
    chosen = [rule for rule in load_rules(["muster/baseline"]) if "spec" in rule.stages and "hipaa" in rule.controls]
    assert f"\n{len(chosen)} rules." in out
    assert "164.308(a)(7)(ii)(A)" in out


def test_show_says_all_of_a_rule(muster: Muster) -> None:
    done = muster("rules", "show", "tag-owner")
    assert done.code == 0
    for words in ("# The VM names its owner\n", "severity **medium**", "present(tags.owner)", "      owner: ",
                  'resource "muster_vm" "web" {', "It passes:", "It fails:", "in muster/baseline, muster/"):
        assert words in done.out


def test_shipped_packs_hold(muster: Muster) -> None:
    done = muster("rules", "test")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("all as they should be.\n")
    assert done.out.startswith(f"{len(shipped())} packs, ")


def test_a_document_that_is_not_judged_as_it_says_is_named_with_file_and_line(muster: Muster, folder: Path) -> None:
    (folder / "bad.yml").write_text(PACK.replace("fail: [{memory: 1}]", "fail: [{memory: 1}, {memory: 9294967296}]"),
                                    encoding="utf-8")
    done = muster("rules", "test", "ours.yml")
    assert (done.code, done.out) == (0, "1 pack, 1 rule, 2 documents: all as they should be.\n")
    done = muster("rules", "test", "bad.yml")
    assert (done.code, done.out) == (1, (
        "bad.yml:5: rule memory-enough: document 2 of tests.fail gave pass. Correct the rule or the document.\n"
        "1 pack, 1 rule, 3 documents: 1 mistake.\n"))


def test_a_control_that_its_framework_does_not_have_is_named(muster: Muster, folder: Path) -> None:
    (folder / "bad.yml").write_text(f'{PACK}    controls: {{pci_dss_4: ["2.2.6", "99.9"], cis_debian_12: ["1.1"]}}\n',
                                    encoding="utf-8")
    done = muster("rules", "test", "bad.yml")
    assert done.code == 1
    assert done.out.startswith("bad.yml:5: rule memory-enough: pci_dss_4 has no control '99.9'. Cite one that it has.")


def test_docs_are_written_and_stale_pages_go(muster: Muster, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "gone.md").write_text(f"{MARK}\n\n# Gone\n", encoding="utf-8")
    (folder / "out" / "notes.md").write_text("Ours.\n", encoding="utf-8")
    done = muster("rules", "docs", "out", "--pack", "ours.yml")
    assert (done.code, done.out) == (0, "out: 1 page and README.md.\n")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["README.md", "memory-enough.md", "notes.md"]
    assert "[memory-enough](memory-enough.md)" in (folder / "out" / "README.md").read_text(encoding="utf-8")


def test_nothing_in_a_pack_acts_on_its_pages(muster: Muster, folder: Path) -> None:
    """They are put on web sites; a pack may be somebody else's."""
    acts = '<script>alert(1)</script> &lt;b> [x](javascript:alert(1)) \x1b[2J'
    rule = {"id": "memory-enough", "title": f"{acts}\n# More", "severity": "low", "why": f"{acts}\n```",
            "stages": ["spec"], "expect": "name != '\n```\n<script>alert(2)</script>\n'",
            "fix": {"advice": f"~~~\n{acts}"}, "controls": {"ours": ["<script>"]},
            "tests": {"pass": [{"name": "```\n<script>"}], "fail": [{"name": "\n```\n<script>alert(2)</script>\n"}]}}
    pack = {"pack": "ours", "version": "1.0.0", "title": acts, "rules": [rule]}
    (folder / "acts.yml").write_text(json.dumps(pack), encoding="utf-8")
    done = muster("rules", "docs", "out", "--pack", "acts.yml")
    assert (done.code, done.out, done.err) == (0, "out: 1 page and README.md.\n", "")
    for name in ("memory-enough.md", "README.md"):
        text = (folder / "out" / name).read_text(encoding="utf-8")
        assert "\x1b" not in text
        shown = markdown_to_html_with_extensions(text.removeprefix(MARK), Options.CMARK_OPT_UNSAFE, ["table"])
        assert "alert(1)" in shown, "it is to be read"
        assert not re.search(r"<script|<b>|href=.javascript", shown), shown
        assert shown.count("<h1>") == 1


def test_the_pages_in_the_repository_are_those_of_the_rules(muster: Muster, folder: Path) -> None:
    assert muster("rules", "docs", "out").code == 0
    made = {path.name: path.read_text(encoding="utf-8") for path in (folder / "out").iterdir()}
    there = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    assert stale == [], "run 'muster rules docs docs/rules' and commit docs/rules"


@pytest.mark.parametrize("pack", shipped())
def test_what_a_page_shows_can_be_used(pack: str) -> None:
    """The YAML of each page is YAML, and its examples are the rule's own."""
    for rule in load_rules([pack]):
        blocks = [block.split("\n", 1) for block in page(rule).split("```")[1::2]]
        documents = [yaml.safe_load(text) for language, text in blocks if language == "yaml"]
        assert documents[-1] in [dict(case) for case in rule.failing]
        assert any(document in [dict(case) for case in rule.passing] for document in documents)


TERRAFORM = shutil.which("terraform") or shutil.which("tofu")


@pytest.mark.skipif(TERRAFORM is None, reason="no terraform and no tofu on the path")
def test_the_hcl_of_a_page_is_as_terraform_itself_formats_it(tmp_path: Path) -> None:
    count = 0
    for rule in load_rules(shipped()):
        for block in page(rule).split("```hcl\n")[1:]:
            count += 1
            (tmp_path / f"{rule.id}.tf").write_text(block.partition("```")[0], encoding="utf-8")
    done = subprocess.run([str(TERRAFORM), "fmt", "-check", "-diff", str(tmp_path)], stdout=subprocess.PIPE, text=True,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert count > 10
