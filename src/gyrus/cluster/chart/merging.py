"""Manifests under conditions: two variants become one tree, with a choice wherever they differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, TypeAlias, cast


class Absent:
    """The variant of a field or an entry that does not exist."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()

Tree: TypeAlias = Any
"""JSON whose values may be a :class:`Choice`, or :data:`ABSENT` within one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that depends on a condition of the chart."""

    condition: str
    """An expression of Helm's templates."""
    holds: Tree
    fails: Tree


def under_conditions(
    conditions: Mapping[str, str],
    render: Callable[[Mapping[str, bool]], Tree],
    known: Mapping[str, bool] | None = None,
) -> Tree:
    """Return one tree for all combinations of conditions.

    ``conditions``: expressions by name. ``render``: returns the result for a truth value of each name.
    """
    known = known or {}
    name = next((name for name in conditions if name not in known), None)
    if name is None:
        return render(known)
    fails, holds = (under_conditions(conditions, render, {**known, name: value}) for value in (False, True))
    return merged(conditions[name], holds, fails)


def merged(condition: str, holds: Tree, fails: Tree) -> Tree:
    """Return a tree with a choice at each of the deepest places in which two trees differ."""
    if holds == fails:
        return holds
    if isinstance(holds, dict) and isinstance(fails, dict):
        first, second = cast("dict[str, Tree]", fails), cast("dict[str, Tree]", holds)
        return {
            key: merged(condition, second.get(key, ABSENT), first.get(key, ABSENT))
            for key in _in_order(list(first), list(second))
        }
    if isinstance(holds, list) and isinstance(fails, list):
        first_items = {identity(item): item for item in cast("list[Tree]", fails)}
        second_items = {identity(item): item for item in cast("list[Tree]", holds)}
        return [
            merged(condition, second_items.get(key, ABSENT), first_items.get(key, ABSENT))
            for key in _in_order(list(first_items), list(second_items))
        ]
    return Choice(condition, holds, fails)


def may_be_absent(tree: Tree) -> bool:
    """Return whether some conditions leave nothing of this tree."""
    if isinstance(tree, Choice):
        return may_be_absent(tree.holds) or may_be_absent(tree.fails)
    return tree is ABSENT


def identity(item: Tree) -> str:
    """Return the part of an entry by which two lists are compared: its name, or else all of it."""
    if isinstance(item, Choice):
        return identity(item.fails if item.holds is ABSENT else item.holds)
    if isinstance(item, dict):
        entry = cast("dict[str, Any]", item)
        if "kind" in entry and "metadata" in entry:
            return f"{entry['kind']} {entry['metadata']['name']}"
        if "name" in entry:
            return str(entry["name"])
    return repr(cast(object, item))


def _in_order(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the entries of both sequences, each once, in an order that both have."""
    found: list[str] = []
    for _, start, end, other_start, other_end in SequenceMatcher(None, first, second, False).get_opcodes():
        found += [*first[start:end], *second[other_start:other_end]]
    return list(dict.fromkeys(found))
