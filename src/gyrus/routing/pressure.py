"""The share of the gateway's connections that are in use, and the file from which Envoy reads it.

Envoy has no trigger for its number of connections. The operator reads that number from Envoy's statistics,
and writes the share for Envoy's overload manager. Without an operator, the last share applies.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

STEPS = 50
"""Number of different shares, so that the file is seldom written."""


def share(connections: int, most: int) -> float:
    """Return the share in use, from 0 to 1, rounded up."""
    return min(STEPS, -(-connections * STEPS // most)) / STEPS


class PressureFile:
    """The file with the share. It always has a whole number: it is replaced, not written in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: float | None = None

    def write(self, value: float) -> None:
        """Write the share if it has changed. A full disk leaves the last one in place."""
        if value == self._written:
            return
        draft = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            draft.write_text(f"{value:.2f}")
            draft.replace(self._path)
            self._written = value
