"""Retention of the logs of replicas that are gone."""

from __future__ import annotations

import shutil
from collections.abc import Set
from pathlib import Path


def forget_gone(folder: Path, living: Set[str], keep: int) -> None:
    """Remove the logs of an API's replicas that are gone, except the ``keep`` latest. Blocks."""
    try:
        gone = [
            (_last_line_at(path), path)
            for path in folder.iterdir()
            if path.is_dir() and path.name not in living
        ]
    except OSError:  # another call removes them at the same time; the next call tries again
        return
    for _, path in sorted(gone, reverse=True)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def _last_line_at(replica: Path) -> float:
    return max((file.stat().st_mtime for file in replica.iterdir()), default=0.0)
