"""The state of a package's unpacked files: the operator unpacks them, and replicas copy or link them."""

from __future__ import annotations

import os

UNPACKED_AT = 315_532_800
"""Modification time of every file, in seconds since the epoch (1980). A file that was written to since has
another one."""


def is_as_unpacked(status: os.stat_result) -> bool:
    """Return True if the file was not written to, or made writable, since it was unpacked."""
    return status.st_mtime == UNPACKED_AT and not status.st_mode & 0o222
