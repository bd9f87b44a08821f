"""Whatever is wrong with what is given: one line, exit code 2, nothing on standard output and nothing half-written."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from muster.command import main as command
from sample_files import PACK, VM, Done, change, plan

Muster = Callable[..., Done]
CHECK = ("check", "bad.json", "--pack", "ours.yml")
FLEET = ("check", "fleet.yml")
PACKED = ("check", "fleet.yml", "--pack", "bad.yml")
GOOD = plan(change("vsphere_virtual_machine.web", VM, ["create"]))

# name: file, its content, arguments, and what the one line says.
CASES: dict[str, tuple[str, str | bytes, tuple[str, ...], list[str]]] = {
    "plan, not JSON": ("bad.json", "Terraform will perform", CHECK, ["bad.json: is not JSON", "terraform show -json"]),
    "plan, broken": ("bad.json", '{"format_version": nope}', CHECK, ["bad.json: "]),
    "plan, truncated": ("bad.json", GOOD[:-30], CHECK, ["bad.json: is cut off"]),
    "plan, truncated at a bracket": ("bad.json", GOOD[:GOOD.index("}") + 1], CHECK, ["bad.json: "]),
    "plan, unknown version": ("bad.json", GOOD.replace('"1.2"', '"9.0"'), CHECK, ["format_version '9.0'"]),
    "plan, no version": ("bad.json", "{}", CHECK, ["bad.json: has no format_version"]),
    "plan, binary": ("bad.json", b"PK\x03\x04\x00\x00", CHECK,
                     ["binary form", "terraform show -json bad.json > plan.json"]),
    "plan, binary, by its own name": ("bad.tfplan", b"PK\x03\x04\x00\x00", ("check", "bad.tfplan"),
                                      ["terraform show -json bad.tfplan > plan.json"]),
    "plan, of PowerShell": ("bad.json", GOOD.encode("utf-16"), CHECK, ["UTF-16"]),
    "plan, empty": ("bad.json", "", CHECK, ["bad.json: is empty"]),
    "plan, deep": ("bad.json", '{"format_version": "1.2", "a": ' + "[" * 100_000 + "]" * 100_000 + "}", CHECK,
                   ["bad.json: "]),
    "state, as Terraform keeps it": ("bad.json", '{"version": 4, "lineage": "x", "serial": 1}', CHECK, ["own form"]),
    "neither": ("bad.txt", "Plan: 3 to add", ("check", "bad.txt"),
                ["bad.txt: is neither a fleet file", "terraform show"]),
    "missing": ("x", "", ("check", "nothing.yml"), ["nothing.yml: cannot be opened: No such file"]),
    "folder": ("x", "", ("check", "."), [".: is not a regular file"]),
    "name that acts": ("x", "", ("check", "\x1b[2J.yml"), ["\ufffd[2J.yml: cannot be opened"]),
    "fleet, not YAML": ("fleet.yml", "fleet: [", FLEET, ["fleet.yml:2: ", "not valid YAML"]),
    "fleet, a field": ("fleet.yml", "fleet: a\nsites: {lab: {platform: libvirt}}\nvms:\n  web: {site: lab, image: i, "
                       "cpus: 1, memory: 1 GiB,\n    cpu: 2}\n", FLEET, ["fleet.yml:5: vms.web.cpu: ", "cpus"]),
    "fleet, binary": ("fleet.yml", b"\xff\xfe\x00", FLEET, ["fleet.yml"]),
    "fleet, large": ("fleet.yml", "fleet: a\n#" + "x" * (1 << 20), FLEET, ["fleet.yml: has more than 1 MiB"]),
    "pack, missing": ("x", "", ("check", "fleet.yml", "--pack", "none.yml"), ["none.yml: cannot be opened"]),
    "pack, not Muster's": ("x", "", ("check", "fleet.yml", "--pack", "muster/none"), ["muster/none: there is no such"]),
    "pack, unknown field": ("bad.yml", f"{PACK}    colour: red\n", PACKED,
                            ["bad.yml:12: rule memory-enough: 'colour'"]),
    "pack, duplicate id": ("bad.yml", PACK + PACK[PACK.index("  - id"):], PACKED,
                           ["bad.yml:12: rule memory-enough: ", "bad.yml:5 has a rule of this id"]),
    "pack, never matches": ("bad.yml", PACK.replace("memory >=", "memroy >="), PACKED,
                            ["bad.yml:9: rule memory-enough: 'expect' can never match", "did you mean 'memory'?"]),
    "pack, include that loops": ("bad.yml", PACK.replace("rules:", "include: [bad.yml]\nrules:"), PACKED,
                                 ["bad.yml:4: includes 'bad.yml'", "circle"]),
    "pack, include that leaves": ("bad.yml", PACK.replace("rules:", "include: [../ours.yml]\nrules:"), PACKED,
                                  ["bad.yml:4: includes '../ours.yml'"]),
    "pack, expression": ("bad.yml", PACK.replace("size('4 GiB')", "size('4 GiB'"), PACKED,
                         ["bad.yml:9: rule memory-enough: 'expect' cannot be read", "character"]),
    "waivers, missing": ("x", "", ("check", "fleet.yml", "--waivers", "none.yml"), ["none.yml: cannot be opened"]),
    "waivers, day": ("bad.yml", "waivers:\n  - {rule: a, vms: [b], reason: c, approver: d, until: soon}\n",
                     ("check", "fleet.yml", "--waivers", "bad.yml"), ["bad.yml: waiver 1: 'until' is not a day"]),
    "framework": ("x", "", ("check", "fleet.yml", "--framework", "pci"), ["pci: there is no framework", "pci_dss_4"]),
    "no stage": ("x", "", ("check", "fleet.yml", "--pack", "muster/cis-debian-12"),
                 ["No rule of these packs is for the stage spec", "guest"]),
    "nothing": ("x", "", ("check",), ["Give either files or a site"]),
    "both": ("x", "", ("check", "fleet.yml", "--site", "lab"), ["Give either files or a site"]),
    "input twice": ("x", "", ("check", "-", "-"), ["once"]),
    "site, unknown": ("x", "", ("check", "--site", "laboratory"), ["fleet.yml: has no site 'laboratory'", "lab"]),
    "site, no fleet file": ("x", "", ("check", "--site", "lab", "--fleet", "none.yml"), ["none.yml", "cannot be read"]),
    "guests, missing": ("x", "", ("check", "fleet.yml", "--guests", "none"), ["none: cannot be opened"]),
    "guests, not JSON": ("bad.json", "{", ("check", "fleet.yml", "--guests", "bad.json"), ["bad.json: is not JSON"]),
    "guests, deep": ("bad.json", "[" * 100_000, ("check", "fleet.yml", "--guests", "bad.json"),
                     ["bad.json: is not JSON"]),
    "guests, failed": ("bad.json", '{"web-1": {"failed": true, "msg": "x"}}',
                       ("check", "fleet.yml", "--guests", "bad.json"), ["bad.json: web-1: holds no facts"]),
    "guests, a stranger": ("bad.json", '{"db": {"facts": {}}}', ("check", "fleet.yml", "--guests", "bad.json"),
                           ["bad.json: has facts of 'db', which is no VM"]),
    "guests, of a plan": ("bad.json", '{"db": {"facts": {}}}', ("check", "plan.json", "--guests", "bad.json"),
                          ["'db'"]),
    "output, device": ("x", "", ("check", "fleet.yml", "--output", "/dev/null"), ["/dev/null: is a device or a pipe"]),
    "output, folder": ("x", "", ("check", "fleet.yml", "--output", "."), [".: is a folder"]),
    "output, no folder": ("x", "", ("check", "fleet.yml", "--output", "none/r.json"),
                          ["none/r.json: cannot be written"]),
    "rule, unknown": ("x", "", ("rules", "show", "tag-ownr"), ["There is no rule 'tag-ownr'", "tag-owner"]),
    "rules of a bad pack": ("bad.yml", PACK.replace("fail: [{memory: 1}]", "fail: []"), ("rules", "test", "bad.yml"),
                            ["bad.yml:11: rule memory-enough: 'tests.fail'"]),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_nothing_written(muster: Muster, folder: Path, case: str) -> None:
    name, content, arguments, words = CASES[case]
    if name != "x":
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "kept.json").write_text("as it was", encoding="utf-8")
    checks = arguments[0] == "check" and "--output" not in arguments
    more = ("--format", "json", "--output", "kept.json") if checks else ()
    before = sorted(path.name for path in folder.iterdir())
    done = muster(*arguments, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1, done.err
    for word in words:
        assert word in done.err
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "kept.json").read_text(encoding="utf-8") == "as it was"


ENDLESS = "!(matches('(x+x+)+y', join('', values(tags))))"


def test_an_expression_that_takes_too_long_on_every_vm(muster: Muster, folder: Path) -> None:
    tags = {f"k{number}": "x" * 60_000 for number in range(10)}
    (folder / "plan.json").write_text(plan(change("aws_instance.web", {"instance_type": "t3.micro", "tags": tags},
                                                  ["create"])), encoding="utf-8")
    (folder / "bad.yml").write_text(PACK.replace("memory >= size('4 GiB')", f'"{ENDLESS}"'), encoding="utf-8")
    done = muster("check", "plan.json", "--pack", "bad.yml", "--output", "r.txt")
    assert (done.code, done.out) == (2, ""), done.out
    assert done.err.startswith("bad.yml:5: rule memory-enough: 'expect' could not be evaluated: it takes more than ")
    assert done.err.count("\n") == 1
    assert not (folder / "r.txt").exists()


def test_a_plan_of_300_mib(muster: Muster, folder: Path) -> None:
    with (folder / "large.json").open("wb") as stream:
        stream.write(b"{")
        stream.truncate(300 << 20)
    done = muster("check", "large.json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("large.json: has 300 MiB, more than the 256 MiB")


def test_a_fifo_is_not_waited_for(muster: Muster, folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")
    done = muster("check", "pipe.json")
    assert done.code == 2
    assert done.err.startswith("pipe.json: is not a regular file")


@pytest.mark.parametrize(("name", "library"), [
    ("sarif", "sarif_pydantic"), ("junit", "junitparser"), ("oscal", "trestle"), ("html", "jinja2")])
def test_a_library_that_is_not_installed(muster: Muster, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                         library: str) -> None:
    for module in [one for one in sys.modules if one.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    if name == "html":
        from muster.policy import html

        html._page.cache_clear()
    done = muster("check", "fleet.yml", "--format", name, "--output", "r")
    assert (done.code, done.out) == (2, "")
    assert f"The format {name} needs " in done.err
    assert "muster-fleet[formats]" in done.err
    assert not (folder / "r").exists()


def test_options_that_are_none(muster: Muster) -> None:
    for arguments in (("check", "fleet.yml", "--format", "pdf"), ("check", "--no-such"), ("chekc",), ()):
        done = muster(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err


def test_a_disk_that_is_full_leaves_the_old_report(muster: Muster, folder: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "r.json").write_text("as it was", encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = muster("check", "fleet.yml", "--format", "json", "--output", "r.json")
    assert (done.code, done.out) == (2, "")
    assert "r.json: cannot be written: No space left on device. It is as it was" in done.err
    assert (folder / "r.json").read_text(encoding="utf-8") == "as it was"
    assert sorted(path.name for path in folder.iterdir()) == ["fleet.yml", "ours.yml", "plan.json", "r.json"]


@pytest.mark.parametrize("error", [KeyError("secret"), MemoryError(), RecursionError("secret")])
def test_what_nobody_foresaw_is_no_finding(muster: Muster, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The kind and the place of the exception, and not its text, which may hold anything."""

    def falls(_options: object) -> int:
        raise error

    monkeypatch.setattr(command, "_run", falls)
    done = muster("check", "plan.json")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"Muster has a defect: {type(error).__name__} in falls, line \d+ of test_bad_input\.py\. .* "
                        r"report this line: https://\S+/issues\n", done.err), done.err  # fmt: skip
