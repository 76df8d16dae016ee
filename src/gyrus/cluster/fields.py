"""Reading parts of objects that the cluster may leave out or set to null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EMPTY: Mapping[str, Any] = {}


def section(item: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Return the mapping at a path; empty if there is none.

    >>> section({"status": {"state": None}}, "status", "state")
    {}
    """
    found: Mapping[str, Any] = item
    for name in path:
        found = found.get(name) or _EMPTY
    return dict(found)


def entries(item: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    """Return the list at a path; empty if there is none."""
    *above, last = path
    return list(section(item, *above).get(last) or ())
