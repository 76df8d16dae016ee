"""The check that no other user can read, change or replace what is in a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def not_private(folder: Path) -> str | None:
    """Return why other users could use this folder, and the remedy. Returns None if they cannot.

    Raises OSError.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid():
        return (
            f"{folder} belongs to another user (id {found.st_uid}). Set GYRUS_HOME to a folder of your own."
        )
    if found.st_mode & _OTHERS:
        return (
            f"Other users may use {folder} (its mode is {stat.S_IMODE(found.st_mode):04o}), which holds "
            f"secrets, and code that runs as you. Make it yours alone: chmod 700 {folder}"
        )
    return next(filter(None, (_replaceable(folder, above) for above in folder.resolve().parents)), None)


def _replaceable(folder: Path, above: Path) -> str | None:
    """Return why every user could put another folder into the place of this one, by a folder above it.

    In a folder with the sticky bit, such as /tmp, only the owner may rename an entry. A folder's group may be
    trusted: many systems give each user one.
    """
    mode = above.stat().st_mode
    if not mode & stat.S_IWOTH or mode & stat.S_ISVTX:
        return None
    return (
        f"Every user may replace {folder}, because {above} has the mode {stat.S_IMODE(mode):04o}. "
        f"Change that (chmod o-w {above}), or set GYRUS_HOME to another folder."
    )
