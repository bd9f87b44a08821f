"""``muster rules``: list, explain and test rules, and write their documentation."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import output
from .errors import CannotCheckError

if TYPE_CHECKING:
    from ..policy.rule import Rule

_STAGES = ("spec", "plan", "live", "guest")


def run(options: argparse.Namespace) -> int:
    """Do what `options` says. Returns the exit code. Raises CannotCheckError."""
    done: int = options.do(options)
    return done


def listed(options: argparse.Namespace) -> int:
    """``muster rules list``: a line for each rule."""
    from ..policy.formats.words import Style, line, plural

    style = Style(output.colour())

    def lines() -> Iterator[str]:
        total = 0
        for pack, rules in _packs(options.pack).items():
            chosen = [rule for rule in rules
                      if (not options.stage or options.stage in rule.stages)
                      and (not options.framework or options.framework in rule.controls)]
            if not chosen:
                continue
            yield f"{style.strong(line(pack))}\n"
            width = max(len(rule.id) for rule in chosen)
            for rule in chosen:
                total += 1
                cited = ", ".join(rule.controls.get(options.framework, ())) if options.framework else \
                    ",".join(rule.stages)
                yield f"  {style.severity(rule.severity)}  {rule.id:{width}}  {cited:16}  {line(rule.title)}\n"
            yield "\n"
        yield f"{plural(total, 'rule')}. 'muster rules show ID' explains one.\n"

    output.to_terminal(lines())
    return 0


def shown(options: argparse.Namespace) -> int:
    """``muster rules show``: all that is known of a rule."""
    from ..policy.rule_pages import MARK, page
    from ..policy.wording import printable

    packs = _packs(options.pack)
    rules = {rule.id: rule for found in packs.values() for rule in found}
    if options.id not in rules:
        raise CannotCheckError(f"There is no rule '{options.id:.80}' in {', '.join(packs)}; {_near(options.id, rules)}")
    text = page(rules[options.id], _holding(options.id, packs)).removeprefix(MARK).lstrip()
    output.to_terminal([printable(text)])
    return 0


def tested(options: argparse.Namespace) -> int:
    """``muster rules test``: run the documents that rules carry. Exit code 1 where one is not judged as it says."""
    from ..policy.formats.words import line, plural

    packs = _packs(options.packs)
    rules = list({rule.id: rule for found in packs.values() for rule in found}.values())
    wrong = [*_cases(rules), *_citations(rules)]
    documents = sum(len(rule.passing) + len(rule.failing) for rule in rules)
    told = f"{plural(len(packs), 'pack')}, {plural(len(rules), 'rule')}, {plural(documents, 'document')}"
    output.to_terminal([*(f"{line(one)}\n" for one in wrong),
                        f"{told}: {plural(len(wrong), 'mistake') if wrong else 'all as they should be'}.\n"])
    return 1 if wrong else 0


def _cases(rules: Iterable[Rule]) -> Iterator[str]:
    from ..policy.selftest import cases, run

    for case in cases(rules):
        sentence = run(case)
        if sentence:
            yield sentence.replace(f"{case.rule.pack}:", f"{case.rule.source}:", 1)


def _citations(rules: Sequence[Rule]) -> Iterator[str]:
    """Controls that are cited and that their catalogue does not have."""
    from ..policy.framework import frameworks, load_framework

    cited = {framework for rule in rules for framework in rule.controls}
    for name in frameworks():
        if name in cited:
            by_id = {rule.id: rule for rule in rules}
            for control, ids in load_framework(name).missing(rules).items():
                for one in ids:
                    yield f"{by_id[one].source}: rule {one}: {name} has no control '{control}'. Cite one that it has."


def documented(options: argparse.Namespace) -> int:
    """``muster rules docs``: a page for each rule and an index, in a folder."""
    from ..policy.formats.words import plural
    from ..policy.rule_pages import MARK, index, page

    packs = _packs(options.pack)
    rules = {rule.id: rule for found in packs.values() for rule in found}
    pages = {f"{rule.id}.md": page(rule, _holding(rule.id, packs)) for rule in rules.values()}
    pages["README.md"] = index(packs)
    folder = Path(options.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gone = [old for old in folder.glob("*.md") if old.name not in pages and _starts(old, MARK)]
    except OSError as error:
        raise CannotCheckError(f"{options.folder}: cannot be written: {error.strerror}. Name another folder.") from None
    for name, text in pages.items():
        output.to_file(str(folder / name), [text])
    for old in gone:
        old.unlink()
    output.to_terminal([f"{options.folder}: {plural(len(rules), 'page')} and README.md.\n"])
    return 0


def _starts(path: Path, mark: str) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(len(mark)) == mark


def _packs(names: Sequence[str]) -> dict[str, tuple[Rule, ...]]:
    """The rules of each pack, all shipped ones by default."""
    from ..policy.packfile import PackError, load_rules, shipped

    try:
        found = {name: load_rules([name]) for name in dict.fromkeys(names or shipped())}
        load_rules(found)  # two of them may have a rule of one id
    except PackError as error:
        raise CannotCheckError(str(error)) from None
    return found


def _holding(rule: str, packs: Mapping[str, Iterable[Rule]]) -> list[str]:
    return [name for name, rules in packs.items() if any(one.id == rule for one in rules)]


def _near(name: str, known: Iterable[str]) -> str:
    from ..model.errors import nearest

    return f"{nearest(name, known).rstrip('?')}. 'muster rules list' has them all."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below ``muster rules``."""
    commands = parser.add_subparsers(dest="rules_command", metavar="COMMAND", required=True)
    pack = argparse.ArgumentParser(add_help=False)
    pack.add_argument("--pack", metavar="PACK", action="append", default=[],
                      help="a pack, such as muster/baseline, or the path of one; repeatable (default: all of Muster's)")

    def command(name: str, do: Any, text: str, **more: Any) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", **more)
        added.set_defaults(do=do)
        return added

    one = command("list", listed, "a line for each rule", parents=[pack])
    one.add_argument("--stage", choices=_STAGES, help="rules of this stage only")
    one.add_argument("--framework", metavar="NAME", help="rules that cite this framework, with its controls")
    one = command("show", shown, "all that is known of a rule", parents=[pack])
    one.add_argument("id", metavar="ID", help="the rule, such as tag-owner")
    one = command("test", tested, "run the documents that rules carry: those that must pass and those that must fail")
    one.add_argument("packs", nargs="*", metavar="PACK", help="packs or paths of packs (default: all of Muster's)")
    one = command("docs", documented, "write a page for each rule", parents=[pack])
    one.add_argument("folder", metavar="FOLDER", help="where to; it is made if need be")
