"""Sets of endpoints, combined without copies where they are the same object. Pure.

Routing usually combines a set with itself: the acknowledged endpoints of a pool are those that it should
have. A copy of a hundred endpoints for each of a thousand pools would take 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterable

from gyrus.state.board import Endpoints

NOTHING: Endpoints = frozenset()


def union(first: Endpoints, second: Endpoints) -> Endpoints:
    if first is second or not second:
        return first
    return first | second if first else second


def intersection(first: Endpoints, second: Endpoints) -> Endpoints:
    return first if first is second else first & second


def difference(first: Endpoints, second: Endpoints) -> Endpoints:
    return NOTHING if first is second or not first else first - second


def union_of(sets: Iterable[Endpoints]) -> Endpoints:
    found = NOTHING
    for each in sets:
        found = union(found, each)
    return found


def intersection_of(sets: Iterable[Endpoints]) -> Endpoints:
    """Return the endpoints that all of these sets have. There must be at least one set."""
    first, *others = sets
    for each in others:
        first = intersection(first, each)
    return first


def equal(first: Endpoints | None, second: Endpoints | None) -> bool:
    return first is second or first == second
