"""The access log's rotation: Envoy writes on to the renamed file until it is told to open its files anew."""

from __future__ import annotations

from pathlib import Path


def is_due(log: Path, max_bytes: int) -> bool:
    try:
        return log.stat().st_size > max_bytes
    except FileNotFoundError:
        return False


def rotate(log: Path, keep: int) -> None:
    """``log`` becomes ``log.1``, that ``log.2``, and so on; the oldest goes."""
    for number in range(keep, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
