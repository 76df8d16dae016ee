"""Upgrades of stored specifications from earlier versions to the current one.

The version changes when an earlier document would be refused, or would mean something else: a field was
renamed, removed or narrowed, or its default changed. A new field with a default needs no new version.
To raise the version, append one function to ``UPGRADES``, and add a database that the version before has
written to ``tests/databases``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Document = dict[str, Any]
"""A specification as JSON, with all defaults of the version that wrote it."""

Upgrade = Callable[[Document], Document]
"""A function that returns the document as the next version would write it. Leaves its argument as it is."""


def _keep_max_wait(document: Document) -> Document:
    """Write the default of ``max_wait`` that applied before auto."""
    handler = document.get("handler")
    if not handler or not handler.get("batching"):
        return document
    batching = {"max_wait": "5ms", **handler["batching"]}
    return {**document, "handler": {**handler, "batching": batching}}


UPGRADES: Sequence[Upgrade] = (_keep_max_wait,)
"""By version: the first leads from version 1 to version 2, and so on. A released one never changes."""


def current_version(upgrades: Sequence[Upgrade] = UPGRADES) -> int:
    """Return the version of documents that this gyrus writes."""
    return len(upgrades) + 1


def upgraded(document: Document, version: int, upgrades: Sequence[Upgrade] = UPGRADES) -> Document:
    """Return the document as the current version would write it."""
    for upgrade in upgrades[version - 1 :]:
        document = upgrade(document)
    return document
