"""The limits of a package, the same for packing and unpacking. Pure."""

from __future__ import annotations

import os

MOST_ENTRIES = 100_000
"""Files, links and folders of a package."""
MOST_LINKS = 10_000
DEEPEST = 64
"""Parts of a name: folders, and the file."""
LONGEST_NAME = 2000
"""Bytes."""
LONGEST_PART = 255
"""Bytes between two slashes, the limit of file systems."""


def name_fault(name: str) -> str | None:
    """Return the end of a sentence about a name that is too long or too deep. Returns None if it is not."""
    parts = name.split("/")
    if len(parts) > DEEPEST:
        return f"is in more than {DEEPEST - 1} folders, one in the other"
    if len(os.fsencode(name)) > LONGEST_NAME or max(len(os.fsencode(part)) for part in parts) > LONGEST_PART:
        return "has too long a name"
    return None
