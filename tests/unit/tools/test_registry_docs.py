"""The provider's pages are those of its schema, and of the examples that the contract tests run."""

from __future__ import annotations

from tools import registry_docs


def test_the_pages_are_current() -> None:
    there = {str(path.relative_to(registry_docs.PAGES)): path.read_text(encoding="utf-8")
             for path in registry_docs.PAGES.rglob("*.md")}
    assert there == registry_docs.pages(), "run: python -m tools.registry_docs"


def test_everything_is_described() -> None:
    """No attribute without a sentence, however deep."""
    for path, text in registry_docs.pages().items():
        bare = [line for line in text.splitlines() if line.startswith("- `") and ") " not in line.partition("(")[2]]
        assert bare == [], path
