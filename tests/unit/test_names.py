"""One name for one thing: a public name of a class or type is used once under ``src/gyrus``."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import gyrus

ROOT = Path(gyrus.__file__).parent
TEMPLATES = ROOT / "cli" / "scaffold"
"""Files that become the user's, whose names are the user's."""

TWINS = {
    "Conflict": {"state.errors", "client.errors"},
    "NotFound": {"state.errors", "client.errors"},
    "UnknownApi": {"state.errors", "client.errors"},
    "StorageFull": {"packaging.errors", "state.errors"},
    "UnknownPackage": {"packaging.errors", "state.errors"},
    "Json": {"routing.resources.kinds", "runtime.handler.openapi", "runtime.handler.schema_formats"},
}
"""The same thing on both sides of a boundary: by name, the modules that have one."""


def public_types() -> Iterator[tuple[str, str]]:
    """Names and modules of all public top-level classes and aliases of types."""
    for path in ROOT.rglob("*.py"):
        if TEMPLATES not in path.parents:
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                for name in _types_of(node):
                    if not name.startswith("_"):
                        yield name, module


def _types_of(node: ast.stmt) -> Iterator[str]:
    """The class that a statement defines, or the aliases: names that are neither constants nor variables."""
    if isinstance(node, ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign) and not _is_type_variable(node.value):
        names = (target.id for target in node.targets if isinstance(target, ast.Name))
        yield from (name for name in names if name[0].isupper() and not name.isupper())


def _is_type_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("TypeVar", "ParamSpec")


def test_a_public_name_stands_for_one_thing() -> None:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, module in public_types():
        found[name].add(module)
    assert len(found) > 400
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == TWINS


def test_no_module_is_named_for_everything() -> None:
    names = {path.stem for path in ROOT.rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "manager", "base"}
