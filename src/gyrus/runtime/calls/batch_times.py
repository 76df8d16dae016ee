"""Measured times of batches: how long a batch of n calls runs, and how soon clients send again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from statistics import median

KEPT = 9
"""Latest samples of which the median counts, so that a pause of the machine changes nothing."""
FORGOTTEN_AFTER = 30.0
"""Seconds after which the time of batches of one size no longer counts."""
REFIT_EVERY = 8
"""Batches between two fits of the line, once there are enough samples."""
PAUSE = 4
"""Longest time between two ends that counts, as a multiple of the usual one. A longer one counts as this."""
QUANTILE = 0.75
"""Share of the answered clients whose return gives the pace; the last ones may be slow or gone."""


class BatchDuration:
    """The running time of a batch as a line, ``fixed + each × calls``, fitted to medians by size."""

    def __init__(self) -> None:
        self.fixed = 0.0
        """Seconds that a batch takes whatever its size."""
        self.each = 0.0
        """Seconds that each call adds."""
        self._samples: dict[int, deque[tuple[int, float]]] = {}
        """Calls and seconds of the latest batches, by the power of two that the number of calls reaches."""
        self._latest: dict[int, float] = {}
        self._added = 0
        self._largest = 0
        """The most calls of one batch."""

    def __bool__(self) -> bool:
        return self._added > 0

    def of(self, calls: float) -> float:
        """Return the expected seconds of a batch with this number of calls."""
        return self.fixed + self.each * calls

    @property
    def longest(self) -> float:
        """The expected seconds of the largest batch that has been seen."""
        return self.of(self._largest)

    def add(self, now: float, calls: int, seconds: float) -> None:
        self._largest = max(self._largest, calls)
        bucket = calls.bit_length()
        kept = self._samples.setdefault(bucket, deque(maxlen=KEPT))
        kept.append((calls, seconds))
        self._latest[bucket] = now
        self._added += 1
        if len(kept) < KEPT or self._added % REFIT_EVERY == 0:
            self._forget(now)
            self._fit()

    def _forget(self, now: float) -> None:
        for bucket in [each for each, at in self._latest.items() if at < now - FORGOTTEN_AFTER]:
            del self._samples[bucket], self._latest[bucket]

    def _fit(self) -> None:
        points = [_point(kept) for kept in self._samples.values()]
        total = sum(weight for _, _, weight in points)
        mean_calls = sum(calls * weight for calls, _, weight in points) / total
        mean_seconds = sum(seconds * weight for _, seconds, weight in points) / total
        spread = sum(weight * (calls - mean_calls) ** 2 for calls, _, weight in points)
        if spread < 0.01 * total * mean_calls**2:
            # One size only. If half of the time were fixed, larger batches would pay: a guess that leads to
            # other sizes, which correct it.
            self.each = mean_seconds / mean_calls / 2
        else:
            common = sum(
                weight * (calls - mean_calls) * (seconds - mean_seconds) for calls, seconds, weight in points
            )
            self.each = min(max(common / spread, 0.0), mean_seconds / mean_calls)
        self.fixed = mean_seconds - self.each * mean_calls


def _point(kept: Sequence[tuple[int, float]]) -> tuple[float, float, float]:
    """Return the mean calls, the median seconds and the weight of similar batches.

    The first batch of a size may include a warm-up of the device, so it weighs little alone.
    """
    calls = sum(calls for calls, _ in kept) / len(kept)
    seconds = [seconds for _, seconds in kept]
    if len(kept) < 3:
        return calls, min(seconds), 0.1 * len(kept)
    return calls, median(seconds), len(kept)


class Rate:
    """The answers per second of the latest batches."""

    def __init__(self) -> None:
        self._batches: deque[tuple[int, float]] = deque(maxlen=2 * KEPT)

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, calls: int, seconds: float) -> None:
        self._batches.append((calls, seconds))

    def clear(self) -> None:
        self._batches.clear()

    @property
    def value(self) -> float:
        """Answers per second; a pause counts as a few batches. Raises ValueError if there are no batches."""
        most = PAUSE * median(seconds for _, seconds in self._batches)
        seconds = sum(min(seconds, most) for _, seconds in self._batches)
        return sum(calls for calls, _ in self._batches) / max(seconds, 1e-9)


class ReturnPace:
    """The time from the end of a batch until its clients send again: the first one, then one by one."""

    def __init__(self) -> None:
        self._first: deque[float] = deque(maxlen=KEPT)
        self._gap: deque[float] = deque(maxlen=KEPT)
        self._medians: tuple[float, float] | None = None

    def __bool__(self) -> bool:
        return bool(self._first)

    def add(self, after: Sequence[float]) -> None:
        """Add the seconds after which the clients of one batch came back, in order."""
        if not after:
            return
        self._first.append(after[0])
        if (last := round((len(after) - 1) * QUANTILE)) > 0:
            self._gap.append((after[last] - after[0]) / last)
        self._medians = None

    def of(self, calls: float) -> float:
        """Return the seconds until this number of calls is back. Returns infinity if nothing is known."""
        if calls <= 0:
            return 0.0
        if self._medians is None:
            if not self._first:
                return inf
            self._medians = median(self._first), median(self._gap) if self._gap else median(self._first)
        first, gap = self._medians
        return first + gap * max(0.0, calls - 1)
