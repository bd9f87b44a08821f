"""``python -m tools.registry_docs``: the pages of the Terraform provider in docs/registry, in the registry's layout,
from its schema and from the examples in examples/terraform."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES, EXAMPLES = CHECKOUT / "docs" / "registry", CHECKOUT / "examples" / "terraform"
_NOTE = "<!-- Generated from the provider's schema by python -m tools.registry_docs -->\n"
_SECTIONS = ("Required", "Optional", "Read-Only")


def pages() -> dict[str, str]:
    """Each page by its path below `PAGES`."""
    from muster_provider import provider

    muster = provider.MusterProvider()
    index = provider.schema.provider()
    found = {"index.md": _page("muster Provider", "muster Provider", index.description,
                               _example("provider/provider.tf", "terraform"), _schema(index.attributes))}
    for kind, folder, classes in (("Resource", "resources", muster.get_resources()),
                                  ("Data Source", "data-sources", muster.get_data_sources())):
        for one in classes:
            name, schema = f"muster_{one.get_name()}", one.get_schema()
            parts = [_example(f"{folder}/{name}/{folder.removesuffix('s')}.tf", "terraform"),
                     _schema(schema.attributes)]
            if kind == "Resource":
                parts.append(_example(f"{folder}/{name}/import.sh", "shell", "Import", "Import is supported using the "
                                      "following syntax:"))
            found[f"{folder}/{one.get_name()}.md"] = _page(
                f"{name} {kind} - muster", f"{name} ({kind})", schema.description, *parts)
    for function in muster.get_functions():
        name, signature = function.get_name(), function.get_signature()
        found[f"functions/{name}.md"] = _page(
            f"{name} function - muster", f"function: {name}", signature.description,
            _example(f"functions/{name}/function.tf", "terraform"), _signature(name, signature))
    return found


def _page(title: str, head: str, description: str, *parts: str) -> str:
    front = f'---\npage_title: "{title}"\nsubcategory: ""\ndescription: |-\n  {_first(description)}\n---\n'
    return "\n".join([front, _NOTE, f"# {head}\n", f"{description}\n", *parts])


def _first(text: str) -> str:
    """The first sentence of a description."""
    return text.partition(". ")[0].rstrip(".") + "."


def _example(path: str, language: str, head: str = "Example Usage", before: str = "") -> str:
    text = (EXAMPLES / path).read_text(encoding="utf-8").rstrip("\n")
    return f"## {head}\n\n" + (f"{before}\n\n" if before else "") + f"```{language}\n{text}\n```\n"


def _schema(attributes: Sequence[Any]) -> str:
    return "\n".join(["## Schema\n", *_level(attributes, ())])


def _level(attributes: Sequence[Any], path: tuple[str, ...]) -> Iterator[str]:
    """The attributes of one level by section, then the levels below it."""
    groups: dict[str, list[Any]] = {section: [] for section in _SECTIONS}
    for one in sorted(attributes, key=lambda one: str(one.name)):
        groups["Required" if one.required else "Optional" if one.optional else "Read-Only"].append(one)
    for section, members in groups.items():
        if members:
            yield f"### {section}\n" if not path else f"{section}:\n"
            yield "\n".join(_line(one, path) for one in members) + "\n"
    for one in sorted(attributes, key=lambda one: str(one.name)):
        if hasattr(one, "nesting"):
            here = (*path, one.name)
            yield f'<a id="nestedatt--{"--".join(here)}"></a>\n### Nested Schema for `{".".join(here)}`\n'
            yield from _level(one.attributes, here)


def _line(one: Any, path: tuple[str, ...]) -> str:
    text = f"- `{one.name}` ({_type(one)}) {one.description or ''}".rstrip()
    if hasattr(one, "nesting"):
        text += f" (see [below for nested schema](#nestedatt--{'--'.join((*path, one.name))}))"
    return text


def _type(one: Any) -> str:
    if hasattr(one, "nesting"):
        return {"single": "Attributes", "list": "Attributes List", "map": "Attributes Map"}[one.nesting]
    return _name(one.type)


def _name(type_: Any) -> str:
    name, inner = type(type_).__name__, getattr(type_, "element_type", None)
    if inner is not None:
        return f"{name} of {_name(inner)}"
    return {"Bool": "Boolean", "Number": "Number", "String": "String"}.get(name, "Dynamic")


def _signature(name: str, signature: Any) -> str:
    parameters = [*signature.parameters, *([signature.variadic_parameter] if signature.variadic_parameter else [])]
    words = [f"{one.name} {_name(one.type).lower()}" for one in parameters]
    if signature.variadic_parameter:
        words[-1] += "..."
    returned = signature.return_type.type
    shown = "number" if _name(returned) == "Number" else "list of object"
    numbered = [f"{number}. `{one.name}` ({_name(one.type)}) {one.description}" + (
        "" if one is not signature.variadic_parameter else " Any number of them.")
        for number, one in enumerate(parameters, 1)]
    return "\n".join(["## Signature\n", f"```text\n{name}({', '.join(words)}) {shown}\n```\n", "## Arguments\n",
                      *numbered, ""])


def main() -> int:
    made = pages()
    for path, text in made.items():
        target = PAGES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for stale in PAGES.rglob("*.md"):
        if str(stale.relative_to(PAGES)) not in made:
            stale.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
