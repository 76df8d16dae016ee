"""The way of a stored specification from the version that wrote it to today's.

A document's version changes when a document of before would be refused, or would mean something else: a
field was renamed, removed or narrowed, or its default changed. A new field with a default needs no version.
To raise it, append one function to ``UPGRADES`` and a database that the version before has written to
``tests/databases``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Document = dict[str, Any]
"""A specification as JSON has it, with the defaults of its time written out."""

Upgrade = Callable[[Document], Document]
"""Returns the document as the next version would have written it. Pure: its argument stays as it is."""

UPGRADES: Sequence[Upgrade] = ()
"""The first leads from version 1 to version 2, and so on. A released one never changes."""


def current_version(upgrades: Sequence[Upgrade] = UPGRADES) -> int:
    """The version of the documents that are written now."""
    return len(upgrades) + 1


def upgraded(document: Document, version: int, upgrades: Sequence[Upgrade] = UPGRADES) -> Document:
    """The document as today's version would have written it."""
    for upgrade in upgrades[version - 1 :]:
        document = upgrade(document)
    return document
