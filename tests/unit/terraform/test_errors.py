"""What is no plan and no state gets one sentence: the file, what is wrong, what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from muster.terraform import Reading, TerraformError, file, read_document
from terraform_files import plan

RECORDED = Path(__file__).parent / "recorded"
GOOD = {"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": []}
INSTANCE = {"address": "aws_instance.web", "values": {"ami": "ami-1", "tags": {"owner": "s3cr3t"}}}


def of(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def with_values(**values: Any) -> bytes:
    return json.dumps(plan({"resources": [{"address": "aws_instance.web", "values": values}]})).encode()


def typed(**expressions: Any) -> bytes:
    """A plan of what Terraform made of a configuration: it keeps the keys that the schema has."""
    made = {"address": "muster_vm.a", "values": {"name": "a"}}
    return json.dumps(plan({"resources": [made], "expressions": {"muster_vm.a": expressions}})).encode()


def twice() -> bytes:
    return json.dumps(plan({"resources": [INSTANCE, INSTANCE]})).encode()


BAD = {
    "empty": (b"", "is empty"),
    "text": (b"Terraform used the selected providers to generate the following plan", "is not JSON"),
    "a list": (b"[]", "is not JSON; write it with 'terraform show -json FILE > plan.json'"),
    "cut off": (of()[:-20], "is cut off"),
    "malformed": (b'{"x": 1.2.3}', "is not valid JSON"),
    "NUL": (b'{"format_version": "1.2", "resource_changes": [\x00]}', "is not valid JSON"),
    "NUL bytes alone": (b"\x00" * 100, "is not JSON"),
    "not UTF-8": (b'{"format_version": "\xff\xfe"}', "is not valid JSON"),
    "half a character": (b'{"format_version": "\\ud800"}', "is not valid JSON"),
    "UTF-16": ('{"format_version": "1.2"}'.encode("utf-16"), "is UTF-16, as Windows PowerShell writes it"),
    "UTF-16 without its mark": ('{"format_version": "1.2"}'.encode("utf-16-le"), "is UTF-16"),
    "gzip": (b"\x1f\x8b\x08\x00", "is compressed"),
    # Not 'show -json plan.json > plan.json': the shell would empty the plan before Terraform reads it.
    "a binary plan": (b"PK\x03\x04rest", "run 'terraform show -json plan.json > plan-in-json.json'"),
    "a log": (b'{"@level":"info","@message":"Terraform 1.11.4"}\n{"@level":"info"}', "is the log of 'terraform plan"),
    "a raw state": (b'{"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"x","resources":[]}',
                    "is a state in Terraform's own form; run 'terraform show -json > state.json'"),
    "no version": (b'{"resource_changes":[]}', "has no format_version"),
    "schemas": (b'{"format_version":"1.0","provider_schemas":{}}', "holds the schemas of providers"),
    "a new version": (of(format_version="2.0"), "has format_version '2.0', and Muster reads 0 and 1"),
    "a strange version": (of(format_version="one"), "has format_version 'one'"),
    "a version of no type": (of(format_version=1.2), "'format_version' is a number where text belongs"),
    "changes taken out": (
        b'{"format_version":"1.2","planned_values":{"root_module":{"child_modules":[{"resources":[{"mode":"managed",'
        b'"address":"module.a.aws_instance.web","type":"aws_instance","values":{}}]}]}}}',
        "plans 'module.a.aws_instance.web' and has no resource_changes"),
    "errored": (of(errored=True), "is a plan that ended with an error"),
    "changes of no type": (of(resource_changes={}), "'resource_changes' is a mapping where a list belongs"),
    "a change without address": (of(resource_changes=[{"type": "x"}]), "missing required field"),
    "an action of tomorrow": (
        of(resource_changes=[{"address": "a.b", "type": "a", "change": {"actions": ["open"]}}]),
        "'a.b' has the actions ['open'], which Muster does not know"),
    "an attribute of no type": (with_values(ami=5), "aws_instance.web: 'ami' is a whole number where text belongs"),
    "deep inside": (with_values(root_block_device=[{"volume_size": "x"}]),
                    "aws_instance.web: 'root_block_device[0].volume_size' is text where a whole number belongs"),
    "values of no type": (json.dumps(plan({"resources": [{"address": "aws_instance.web", "values": []}]})).encode(),
                          "aws_instance.web: the value is a list where a mapping belongs"),
    "a number beyond all": (with_values(cpu_core_count=10**30), "'cpu_core_count' is a number beyond all bounds"),
    "a float beyond all": (with_values(cpu_core_count=1e300), "'cpu_core_count' is a number where a whole number"),
    "a shadow of no type": (
        json.dumps(plan({"resources": [{**INSTANCE, "unknown": ["true"]}]})).encode(), "the value is a list where"),
    "an address twice": (twice(), "'aws_instance.web' is there twice"),
    "a muster_vm of no size": (
        json.dumps(plan({"resources": [{"address": "muster_vm.a", "values": {"memory": "s3cr3t"}}]})).encode(),
        "'muster_vm.a': 'memory' is not a size"),
    "a muster_vm of no type": (
        json.dumps(plan({"resources": [{"address": "muster_vm.a", "values": {"disks": [{"size": []}]}}]})).encode(),
        "'muster_vm.a': 'disks[0].size' is not text"),
    "a muster_vm with no such field": (
        typed(protection={"constant_value": {"rpo": "24h", "delition": True}}),
        "'muster_vm.a': 'protection.delition' is no field, and Terraform dropped it without a word; did you mean "
        "'deletion'?"),
    "a muster_vm with no such field of a field": (
        typed(protection={"constant_value": {"keep": {"dayly": 1}}}), "'protection.keep.dayly' is no field"),
    "a muster_vm with no such field of a disk": (
        typed(disks={"constant_value": [{"size": "1 GiB"}, {"iops_limt": 1}]}), "'disks[1].iops_limt' is no field"),
    "a muster_vm with no such time-out": (
        typed(timeouts={"constant_value": {"creat": "1h"}}), "'timeouts.creat' is no field"),
    "deep nesting": (b'{"format_version":"1.2","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is nested too deeply"),
    "deep nesting in a shadow": (
        b'{"format_version":"1.2","resource_changes":[{"address":"aws_instance.a","type":"aws_instance","name":"a",'
        b'"change":{"actions":["create"],"after":{},"after_unknown":{"tags":' + b"[" * 900 + b"true" + b"]" * 900
        + b"}}}]}", "is nested too deeply"),
}


def test_what_is_written_right_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(typed(disks={"constant_value": [{"size": "1 GiB"}]}, timeouts={"constant_value": {"create": "1h"}},
                           tags={"constant_value": {"owner": "shop"}}, protection={"references": ["var.protection"]}))
    assert len(read_document(path).vms) == 1


@pytest.mark.parametrize("name", BAD)
def test_one_sentence_that_names_the_file(name: str, tmp_path: Path) -> None:
    data, told = BAD[name]
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    with pytest.raises(TerraformError) as caught:
        read_document(path)
    sentence = str(caught.value)
    assert told in sentence
    assert sentence.startswith(f"{path}: ")
    assert sentence.isascii()
    assert sentence.isprintable()
    assert "s3cr3t" not in sentence
    assert len(sentence) < 600


def test_a_real_binary_plan() -> None:
    with pytest.raises(TerraformError, match=r"run 'terraform show -json create\.bin > plan\.json'"):
        read_document(RECORDED / "create.bin")


def test_things_that_are_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    wrong = {tmp_path: "is a directory", tmp_path / "pipe": "is a pipe or a device", Path("/dev/zero"): "is a pipe or",
             tmp_path / "none.json": "cannot be opened (No such file or directory)", tmp_path / "a\0b": "it is no path",
             tmp_path / ("x" * 300): "File name too long"}
    for path, told in wrong.items():
        with pytest.raises(TerraformError, match=told.replace("(", r"\(").replace(")", r"\)")):
            read_document(path)


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(TerraformError, match="cannot be opened"):
        read_document(tmp_path / "a")


def test_a_file_of_300_mb_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with path.open("wb") as made:
        made.truncate(300 << 20)
    with pytest.raises(TerraformError, match="has 300 MiB, more than the 256 MiB that are read"):
        read_document(path)


def test_a_file_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer appends between the look at the size and the reading: what was read is not the whole."""
    path = tmp_path / "plan.json"
    path.write_bytes(of())
    regular = file._regular

    def grows(status: os.stat_result, source: str) -> None:
        regular(status, source)
        with path.open("ab") as more:
            more.write(b"  ")

    monkeypatch.setattr(file, "_regular", grows)
    with pytest.raises(TerraformError, match="changed while it was read"):
        read_document(path)


def test_a_mark_of_byte_order_and_white_space_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"\xef\xbb\xbf\n " + of() + b"\n")
    assert read_document(path) == Reading([], format_version="1.2", terraform_version="1.11.4")


def test_an_address_that_tries_to_print(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    change = {"address": "aws_instance.\x1b[2J\n\u202e" + "x" * 10_000, "type": "aws_instance", "name": "w",
              "change": {"actions": ["create"], "after": {"ami": 1}}}
    path.write_bytes(of(resource_changes=[change]))
    with pytest.raises(TerraformError) as caught:
        read_document(path)
    assert "\\x1b[2J\\n\\u202e" in str(caught.value)
    assert len(str(caught.value)) < 800


def test_reading_in_threads_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(json.dumps(plan({"resources": [INSTANCE]})).encode())
    found: list[Reading] = []
    threads = [threading.Thread(target=lambda: found.append(read_document(path))) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [read_document(path)] * 4


def test_without_msgspec_it_imports_and_says_what_is_missing(tmp_path: Path) -> None:
    """Ansible's sanity test imports every file without the libraries that only a controller has."""
    path = tmp_path / "plan.json"
    path.write_bytes(of())
    program = ("import sys; sys.modules['msgspec'] = None\n"
               "from muster.terraform import TerraformError, read_document\n"
               f"try: read_document({str(path)!r})\n"
               "except TerraformError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path}: reading plans needs the Python package msgspec; install it with")
