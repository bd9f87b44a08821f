"""The house plan where import-linter cannot look: the standard-library rooms, and the packages of the wheel."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
SHARED = CHECKOUT / "plugins" / "module_utils"
# `model` validates with Ansible's own validator; PyYAML scans the fleet file and comes with every ansible-core.
ALLOWED = {
    "model": {"ansible.module_utils.common.arg_spec", "yaml"},
    "guest": set(),
}


def outside(path: Path) -> set[str]:
    """The absolute imports of a file that are not the standard library's."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_pure_room_imports_the_standard_library_alone(room: str) -> None:
    strangers = {str(path.relative_to(SHARED)): outside(path) - ALLOWED[room] for path in files(SHARED / room)}
    assert {path: names for path, names in strangers.items() if names} == {}


def test_shared_code_imports_itself_relatively() -> None:
    absolute = {
        str(p): n for p in files(SHARED) for n in outside(p) if n.split(".")[0] in ("muster", "ansible_collections")
    }
    assert absolute == {}


def test_the_wheel_has_every_package() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.relative_to(SHARED) for path in files(SHARED)}
    packages = {".".join(("muster", *folder.parts)) for folder in folders}
    packages |= {"muster_provider", "muster_cdktf", "muster_cdktf.stacks"}
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(packages)


def test_nothing_shadows_the_cdk() -> None:
    """A folder `cdktf` that is a package would be imported in the place of the library."""
    assert not (CHECKOUT / "cdktf" / "__init__.py").exists()


def test_every_package_has_its_init_file() -> None:
    missing = {
        str(path.parent.relative_to(CHECKOUT)) for path in files(SHARED) if not (path.parent / "__init__.py").exists()
    }
    assert missing == set()
