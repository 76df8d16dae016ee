"""One name for one thing: a public class name is used once under ``src/gyrus``."""

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
}
"""The same fault on both sides of a boundary: by class name, the modules that have one."""


def public_classes() -> Iterator[tuple[str, str]]:
    """Names and modules of all public top-level classes."""
    for path in ROOT.rglob("*.py"):
        if TEMPLATES not in path.parents:
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield node.name, module


def test_a_public_class_name_stands_for_one_thing() -> None:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, module in public_classes():
        found[name].add(module)
    assert len(found) > 400
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == TWINS


def test_no_module_is_named_for_everything() -> None:
    names = {path.stem for path in ROOT.rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "manager", "base"}
