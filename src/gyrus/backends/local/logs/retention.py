"""How long the logs of replicas that are gone are kept."""

from __future__ import annotations

import shutil
from collections.abc import Set
from pathlib import Path


def forget_gone(folder: Path, living: Set[str], keep: int) -> None:
    """Remove an API's logs of all replicas that are gone but the ``keep`` latest. Blocks."""
    try:
        gone = [
            (_last_line_at(path), path)
            for path in folder.iterdir()
            if path.is_dir() and path.name not in living
        ]
    except OSError:  # somebody else removes them just now; there will be another time
        return
    for _, path in sorted(gone, reverse=True)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def _last_line_at(replica: Path) -> float:
    return max((file.stat().st_mtime for file in replica.iterdir()), default=0.0)
