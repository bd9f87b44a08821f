"""``muster check``: what it reads, what it says and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_files import VM, Done, change, plan

Muster = Callable[..., Done]


def test_a_clean_fleet_file_ends_with_0(muster: Muster) -> None:
    done = muster("check", "fleet.yml")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("2 VMs, 21 rules, stage spec: none failed, ")


def test_findings_end_with_1_and_say_what_and_where_and_what_to_do(muster: Muster) -> None:
    done = muster("check", "fleet.yml", "--pack", "ours.yml")
    assert (done.code, done.err) == (1, "")
    assert done.out == """\
MEDIUM    memory-enough  Memory is enough
  web-1 (fleet.yml:6) and web-2 (fleet.yml:6): memory is 2 GiB
  Why  Because.

What a rule expects, and how Ansible and Terraform mend it: muster rules show memory-enough --pack ours.yml

2 VMs, 1 rule, stage spec: 2 failed (2 medium).
"""


def test_only_findings_of_the_asked_severity_end_with_1(muster: Muster) -> None:
    assert muster("check", "fleet.yml", "--pack", "ours.yml", "--fail-on", "medium").code == 1
    assert muster("check", "fleet.yml", "--pack", "ours.yml", "--fail-on", "high").code == 0


def test_a_plan_names_addresses_and_what_is_not_judged(muster: Muster) -> None:
    done = muster("check", "plan.json", "--pack", "ours.yml")
    assert done.code == 1
    assert "  vsphere_virtual_machine.web 'web-1': memory is 2 GiB\n" in done.out
    assert "Not judged, for the plan deletes it: vsphere_virtual_machine.old.\n" in done.out
    assert "Not judged, for they are no VMs that Muster reads: 1 aws_s3_bucket.\n" in done.out


def test_a_fleet_file_and_a_plan_are_one_report(muster: Muster) -> None:
    done = muster("check", "fleet.yml", "plan.json", "--pack", "ours.yml", "--format", "json")
    document = json.loads(done.out)
    assert document["fleet"] == "acme"
    assert document["compliance"]["stage"] == "spec+plan"
    assert [(finding["vm"], finding["source"]) for finding in document["compliance"]["findings"]] == \
        [("web-1", "fleet.yml:6"), ("web-1", "plan.json"), ("web-2", "fleet.yml:6")]


def test_a_plan_without_vms_is_clean_and_says_so(muster: Muster, folder: Path) -> None:
    (folder / "plan.json").write_text(plan(change("aws_s3_bucket.logs", {}, ["create"])), encoding="utf-8")
    done = muster("check", "plan.json")
    assert done.code == 0
    assert "plan.json has no VM after apply.\n" in done.out


def test_vms_of_one_name_are_counted_one_by_one(muster: Muster, folder: Path) -> None:
    changes = [change(f"vsphere_virtual_machine.web_{number}", VM, ["create"]) for number in range(3)]
    (folder / "twins.json").write_text(plan(*changes), encoding="utf-8")
    assert "\n3 VMs, 1 rule, stage plan: " in muster("check", "twins.json", "--pack", "ours.yml").out


def test_a_binary_plan_on_standard_input_is_told_the_command(muster: Muster, folder: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "plan.bin").write_bytes(b"PK\x03\x04")
    with (folder / "plan.bin").open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        done = muster("check", "-")
    assert (done.code, done.out) == (2, "")
    assert "run 'terraform show -json FILE > plan.json'" in done.err


@pytest.mark.parametrize("stdin", ["fleet.yml", "plan.json"])
def test_standard_input_is_a_fleet_file_or_a_plan(muster: Muster, folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                  stdin: str) -> None:
    with (folder / stdin).open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        done = muster("check", "-", "--pack", "ours.yml")
    assert (done.code, done.err) == (1, "")
    assert ("standard input:6" in done.out) is (stdin == "fleet.yml")


def test_a_fleet_file_in_json_is_a_fleet_file(muster: Muster, folder: Path) -> None:
    (folder / "fleet.json").write_text('{"fleet": "a", "sites": {"lab": {"platform": "libvirt"}}, "vms": {"web": '
                                       '{"site": "lab", "image": "i", "cpus": 1, "memory": "1 GiB"}}}',
                                       encoding="utf-8")
    done = muster("check", "fleet.json", "--pack", "ours.yml")
    assert "1 VM, 1 rule, stage spec: 1 failed" in done.out


def test_the_packs_and_the_waivers_of_the_fleet_file_are_used(muster: Muster, folder: Path) -> None:
    text = (folder / "fleet.yml").read_text(encoding="utf-8")
    (folder / "sub").mkdir()
    (folder / "sub" / "ours.yml").write_text((folder / "ours.yml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "sub" / "fleet.yml").write_text(f"""{text}rules: [./ours.yml]
waivers:
  - {{rule: memory-enough, vms: [web-1], reason: Soon., approver: E. Roth, until: 2999-12-31}}
""", encoding="utf-8")
    (folder / "more.yml").write_text("""waivers:
  - {rule: memory-enough, vms: [web-2], reason: Later., approver: E. Roth, until: 2999-12-31}
""", encoding="utf-8")
    done = muster("check", "sub/fleet.yml", "--waivers", "more.yml")
    assert done.code == 0
    assert done.out.endswith("2 VMs, 1 rule, stage spec: none failed, 2 waived.\n")
    assert "memory-enough on web-2: E. Roth allowed it until 2999-12-31, because: Later\n" in done.out


def test_a_report_is_written_into_a_file_and_summed_up(muster: Muster, folder: Path) -> None:
    done = muster("check", "fleet.yml", "--pack", "ours.yml", "--format", "csv", "--output", "out.csv")
    assert (done.code, done.out) == (1, "out.csv: 2 VMs, 1 rule, stage spec: 2 failed (2 medium).\n")
    assert (folder / "out.csv").read_bytes().count(b"\r\n") == 3
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_link_to_a_report_stays_one_and_permissions_are_kept(muster: Muster, folder: Path) -> None:
    (folder / "real.csv").write_text("old", encoding="utf-8")
    (folder / "real.csv").chmod(0o640)
    (folder / "out.csv").symlink_to("real.csv")
    assert muster("check", "fleet.yml", "--format", "csv", "--output", "out.csv").code == 0
    assert (folder / "out.csv").is_symlink()
    assert (folder / "real.csv").read_text(encoding="utf-8").startswith("outcome,")
    assert (folder / "real.csv").stat().st_mode & 0o777 == 0o640


def test_by_control_with_gaps(muster: Muster) -> None:
    done = muster("check", "fleet.yml", "--framework", "pci_dss_4")
    assert "PCI DSS  pci_dss_4\n" in done.out
    assert "\nGAPS  no rule of these packs evidences them\n  1.2.1 " in done.out
    assert "\nOut of reach of any inspection of VMs" in done.out
    document = json.loads(muster("check", "fleet.yml", "--framework", "pci_dss_4", "--format", "json").out)
    (framework,) = document["compliance"]["frameworks"]
    assert framework["totals"]["controls"] == len(framework["controls"]) == 250


FACTS = {"sshd": {"permitrootlogin": "yes"}}


def test_facts_of_guests_are_judged_too(muster: Muster, folder: Path) -> None:
    (folder / "guests.json").write_text(json.dumps({"web-1": FACTS}), encoding="utf-8")
    (folder / "tree").mkdir()
    (folder / "tree" / "web-1").write_text(json.dumps({"changed": False, "facts": FACTS}), encoding="utf-8")
    packs = ("--pack", "muster/cis-debian-12", "--pack", "muster/baseline")
    for path in ("guests.json", "tree"):
        document = json.loads(muster("check", "fleet.yml", "--guests", path, *packs, "--format", "json").out)
        compliance = document["compliance"]
        assert compliance["stage"] == "spec+guest"
        found = {(one["vm"], one["outcome"]) for one in compliance["findings"] if one["rule"] == "ssh-no-root-login"}
        assert found == {("web-1", "fail"), ("web-2", "unknown")}
        assert [vm["name"] for vm in document["vms"]] == ["web-1", "web-2"]


def test_a_rule_that_one_vm_breaks_does_not_take_the_others_along(muster: Muster, folder: Path) -> None:
    text = (folder / "ours.yml").read_text(encoding="utf-8")
    slow = "!(matches('(x+x+)+y', join('', values(tags))))"
    (folder / "ours.yml").write_text(text.replace("memory >= size('4 GiB')", f'"{slow}"'), encoding="utf-8")
    vms = {"slow": {f"k{number}": "x" * 60_000 for number in range(10)}, "quick": {"k": "x"}}
    (folder / "plan.json").write_text(plan(*(
        change(f"aws_instance.{name}", {"instance_type": "t3.micro", "tags": tags}, ["create"])
        for name, tags in vms.items())), encoding="utf-8")
    done = muster("check", "plan.json", "--pack", "ours.yml")
    assert (done.code, done.err) == (1, "")
    assert "aws_instance.slow: 'expect' could not be evaluated: it takes more than" in done.out
    assert "1 could not be judged, 1 passed.\n" in done.out


TEN_FAULTS = {
    ("production-database-deletion", "muster_vm.db"), ("rpo-set", "muster_vm.db"),
    ("memory-reservation-sane", "muster_vm.db"), ("tags-without-secrets", "muster_vm.web[0]"),
    ("health-declared", "muster_vm.web[0]"), ("nic-network", "muster_vm.web[0]"),
    ("secure-boot-uefi", "muster_vm.web[1]"), ("disk-size", "muster_vm.web[1]"), ("tag-owner", "muster_vm.web[1]"),
    ("schedule-complete", "muster_vm.web[1]"),
}


def test_the_example_of_ten_faults_has_these_ten(muster: Muster) -> None:
    path = Path(__file__).parents[3] / "examples" / "plan" / "ten-faults.json"
    done = muster("check", str(path), "--format", "json")
    assert done.code == 1
    found = json.loads(done.out)["compliance"]["findings"]
    assert {(one["rule"], one["address"]) for one in found if one["outcome"] == "fail"} == TEN_FAULTS
    assert [(one["rule"], one["address"]) for one in found if one["outcome"] == "unknown"] == [
        ("memory-enough", "muster_vm.cache")]
    text = muster("check", str(path)).out
    assert "Not judged, for the plan deletes it: muster_vm.old.\n" in text
    assert "hunter2" not in text + done.out
