"""Rotation of the logs. Envoy writes to the renamed file until a signal makes it open its files again."""

from __future__ import annotations

from pathlib import Path


def is_due(log: Path, max_bytes: int) -> bool:
    try:
        return log.stat().st_size > max_bytes
    except FileNotFoundError:
        return False


def rotate(log: Path, keep: int) -> None:
    """Rename ``log`` to ``log.1``, ``log.1`` to ``log.2``, and so on. The oldest file is lost."""
    for number in range(keep, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
