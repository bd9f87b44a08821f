"""``muster adopt``: VMs that exist already become the fleet's, in its file and in Terraform, unchanged.

First the marks, then the fleet file, then Terraform's: what was interrupted is carried on with by the same command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CannotCheckError

if TYPE_CHECKING:
    from ..model.fleet import Fleet
    from ..model.vm import VM
    from ..operations.adopt import Adoption


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``muster adopt``."""
    parser.add_argument("--fleet", default="fleet.yml", metavar="FILE", help="the fleet file; fleet.yml if not given")
    parser.add_argument("--site", required=True, metavar="NAME", help="the site of the fleet file to look at")
    parser.add_argument("--take", action="append", default=[], metavar="VM[=NAME]",
                        help="put the fleet's mark on this VM, by name or UUID, which somebody else made; NAME is its "
                        "name in the fleet. May be given several times")
    parser.add_argument("--from", dest="owner", metavar="FLEET",
                        help="the fleet whose mark the VMs of --take bear; without it they must bear none")
    parser.add_argument("--terraform", default="adopted.tf", metavar="FILE",
                        help="the new file with Terraform's import blocks; adopted.tf if not given")
    parser.add_argument("--resources", action="store_true",
                        help="write the resources too, for a configuration that is not made by the CDKTF app")
    parser.add_argument("--check", action="store_true", help="show what would be written, and change nothing")


def run(options: argparse.Namespace) -> int:
    """Adopt. Returns the exit code; raises CannotCheckError where nothing, or not all, could be done."""
    from ..drivers.driver import DriverError
    from ..drivers.registry import open_site
    from ..model.errors import ModelError
    from ..operations.adopt import adoptions, mark
    from ..operations.session import read_fleet
    from .fleet_text import with_vms

    target = Path(options.terraform)
    try:
        fleet = read_fleet(options.fleet)
        if options.site not in fleet.sites:
            raise CannotCheckError(f"{options.fleet}: has no site '{options.site:.80}'. There are: "
                                   f"{', '.join(sorted(fleet.sites))}.")
        if target.exists() and not options.check:
            raise CannotCheckError(f"{target}: is there already, and nothing was changed. Apply it and remove it, or "
                                   "name another file with --terraform.")
        take = {vm: name or vm for vm, _sep, name in (one.partition("=") for one in options.take)}
        driver = open_site(fleet.sites[options.site])
        try:
            found, nobodys = adoptions(fleet, driver, take, options.owner)
            text = Path(options.fleet).read_text(encoding="utf-8")
            entries = {one.name: {**_where(fleet, one.vm), **one.entry} for one in found}
            new = with_vms(text, fleet.source, entries) if found else text
            blocks = "\n".join(_blocks(found, options.resources))
            if not options.check:
                mark(fleet, driver, found, options.owner, _say)
        finally:
            driver.close()
        if options.check:
            sys.stdout.write(blocks)
        elif found:
            _write(Path(options.fleet), new)
            _write(target, blocks)
    except (DriverError, ModelError) as error:
        raise CannotCheckError(str(error)) from None
    except OSError as error:
        raise CannotCheckError(f"{error.filename}: {error.strerror}. Mend that and run again: it carries on.") from None
    _tell(options, found, nobodys)
    return 0


def _where(fleet: Fleet, vm: VM) -> dict[str, Any]:
    return {} if len(fleet.sites) == 1 else {"site": vm.site}


def _write(path: Path, text: str) -> None:
    from ..policy.whole_file import write_whole

    write_whole(path, [text], path.stat().st_mode & 0o777 if path.exists() else 0o644)


def _blocks(found: Sequence[Adoption], resources: bool) -> Iterator[str]:
    """Import blocks, and resources where they are asked for, as Terraform's own language has them."""
    for one in found:
        address = f"muster_vm.{one.name if one.name[0].isalpha() else f'_{one.name}'}"
        yield f'import {{\n  to = {address}\n  id = "{one.vm.site}/{one.name}"\n}}\n'
        if resources:
            fields = {"name": one.name, "site": one.vm.site, **one.entry}
            width = max(map(len, fields))
            lines = [f"  {key.ljust(width)} = {_value(value)}" for key, value in fields.items()]
            yield "\n".join([f'resource "muster_vm" "{address.partition(".")[2]}" {{', *lines, "}", ""])


def _value(value: Any) -> str:
    """A value in Terraform's language, in which JSON is one; nothing in a text is evaluated."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_value(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    return json.dumps(value)


def _say(message: str) -> None:
    from ..policy.wording import one_line

    sys.stderr.write(f"{one_line(message)}\n")


def _tell(options: argparse.Namespace, found: Sequence[Adoption], nobodys: Sequence[VM]) -> None:
    from ..policy.formats.words import plural

    for one in found:
        left = f"; not managed: {', '.join(one.left)}" if one.left else ""
        _say(f"{one.name}: {one.vm.uuid}{', taken over' if one.taken else ''}{left}")
    if options.check:
        _say(f"{plural(len(found), 'VM')} would be adopted. Nothing was changed.")
    elif found:
        _say(f"{options.fleet} has {plural(len(found), 'VM')} more, and {options.terraform} the import blocks. Apply "
             "it: the plan imports them and changes nothing. Then remove the import blocks.")
    else:
        _say(f"Every VM of the fleet at the site '{options.site}' is in {options.fleet} already.")
    if nobodys:
        names = ", ".join(f"{name:.80}" for name in sorted(vm.name for vm in nobodys)[:20])
        more = f" and {len(nobodys) - 20} more" if len(nobodys) > 20 else ""
        count = plural(len(nobodys), "VM")
        _say(f"Without a mark, and so left alone: {count}, {names}{more}. Take one with --take VM.")
