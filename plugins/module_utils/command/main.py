"""The command ``muster``: its options, its exit codes and the one line that an error gets."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence

from .errors import CannotCheckError

CANNOT, INTERRUPTED = 2, 130

_EPILOG = """\
exit codes:
  0  nothing of the severity of --fail-on or worse was found
  1  there are such findings, or VMs of the fleet file that are not at the site
  2  it could not be checked: a bad file, pack, waiver or option, a site that does not answer. Nothing was written.
"""
_REPORT = "https://github.com/muster-fleet/muster/issues"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a name that the terminal cannot show must not end a check
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        gc.disable()  # one check makes much and throws little away,
        atexit.register(gc.freeze)  # and Python's end would search all of it for cycles: a tenth of the time
        return _run(options)
    except CannotCheckError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        _failed("Interrupted. Nothing was written.")
        return INTERRUPTED
    except BrokenPipeError:
        return CANNOT
    except Exception as error:  # Python's own exit code for it is 1, which means findings
        return _failed(f"Muster has a defect: {_where(error)}. What it was to do is not done; please report this line: "
                       f"{_REPORT}")  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    if options.command in ("check", "inspect"):
        from . import check

        return check.run(options)
    if options.command == "rules":
        from . import rules

        return rules.run(options)
    if options.command == "adopt":
        from . import adopt

        return adopt.run(options)
    return _version()


def _where(error: BaseException) -> str:
    """Which exception, and where it came from; its text may hold anything, a secret as well."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    code = place.tb_frame.f_code
    return f"{type(error).__name__} in {code.co_name}, line {place.tb_lineno} of {code.co_filename.rpartition('/')[2]}"


def _failed(sentence: str) -> int:
    """Tell what could not be done: one line for each thing, in which nothing acts on the terminal."""
    from ..policy.wording import printable

    try:
        sys.stderr.write(f"{printable(sentence)}\n")
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return CANNOT


def _version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("muster-fleet")
    except PackageNotFoundError:
        number = "of a collection that is not installed as a package"
    sys.stdout.write(f"muster {number}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    from . import adopt, check, rules

    parser = argparse.ArgumentParser(prog="muster", description="One rulebook for virtual machines: from the fleet "
                                     "file and the Terraform plan to the hypervisor and the guest.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    check.add_arguments(commands.add_parser(
        "check", help="judge fleet files, plans, states or a site", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Judge VMs by packs of rules. Nothing is changed anywhere."))
    check.add_inspect_arguments(commands.add_parser(
        "inspect", help="report what matters at a site that exists already",
        description="Report what matters today at a site that exists already: every VM of it, whoever made it. Reads "
        "alone; an account that may only read is enough."))
    rules.add_arguments(commands.add_parser("rules", help="list, explain and test rules, write their documentation"))
    adopt.add_arguments(commands.add_parser(
        "adopt", help="take VMs that exist already into the fleet file and Terraform",
        description="Write entries of the fleet file and Terraform's import blocks for VMs of a site that exist "
        "already. The next plan imports them and changes nothing. VMs that bear the fleet's mark are adopted; others "
        "where --take names them."))
    commands.add_parser("version", help="show the version")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
