"""The shares of a batch's time that reading payloads and encoding answers take. Pure."""

from __future__ import annotations

COUNTS = 0.03
"""Share of the running time from which on a step is worth the hand-over to another thread."""
WEIGHT = 0.2
"""Weight of the last batch in the averages."""


class Shares:
    """Average seconds per call of each step. Of concurrent updates, one may be lost."""

    def __init__(self) -> None:
        self._run: float | None = None
        self._read: float | None = None
        self._encoded: float | None = None

    @property
    def reading_counts(self) -> bool:
        return _counts(self._read, self._run)

    @property
    def encoding_counts(self) -> bool:
        return _counts(self._encoded, self._run)

    def note_run(self, calls: int, seconds: float) -> None:
        self._run = _averaged(self._run, calls, seconds)

    def note_read(self, calls: int, seconds: float) -> None:
        self._read = _averaged(self._read, calls, seconds)

    def note_encoded(self, calls: int, seconds: float) -> None:
        self._encoded = _averaged(self._encoded, calls, seconds)


def _averaged(average: float | None, calls: int, seconds: float) -> float | None:
    if calls == 0:
        return average
    latest = seconds / calls
    return latest if average is None else average + WEIGHT * (latest - average)


def _counts(step: float | None, run: float | None) -> bool:
    return step is not None and run is not None and step > COUNTS * run
