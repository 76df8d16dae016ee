"""Average, highest and lowest of recent numbers. The work for each number is constant (amortized)."""

from __future__ import annotations

from collections import deque

from gyrus.autoscaling.memory import AverageMemory, ExtremeMemory

FINEST = 512
"""Parts of a window that are distinguished. Numbers of the same part, less than a second in the default
windows, may be combined: a window of a day would have 86,400."""


class Average:
    """The mean over a span that ends now; each number is weighted by the time for which it stood.

    A number that is added at ``now`` stands for the time since the one before it.
    """

    def __init__(self, span: float, first: float = 1.0) -> None:
        """Average over ``span`` seconds; the first number stood for ``first`` seconds."""
        self.span = span
        self._first = first
        self._parts: deque[tuple[float, float, float]] = deque()
        self._area = 0.0
        self._time = 0.0
        self._last: float | None = None

    def add(self, now: float, value: float) -> float:
        """Add a number and return the new mean."""
        stood = min(self._first if self._last is None else now - self._last, self.span)
        if stood > 0:  # a second number at the same time has no duration, and so no weight
            self._last = now
            self._append(now, value * stood, stood)
            self._area += value * stood
            self._time += stood
        self._forget(now - self.span)
        return self.mean

    def _append(self, now: float, area: float, stood: float) -> None:
        if self._parts and self._parts[-1][2] + stood <= self.span / FINEST:
            _, before, lasted = self._parts.pop()
            area, stood = before + area, lasted + stood
        self._parts.append((now, area, stood))

    def _forget(self, before: float) -> None:
        parts = self._parts
        while len(parts) > 1 and parts[0][0] <= before:
            _, area, stood = parts.popleft()
            self._area -= area
            self._time -= stood
        if len(parts) == 1:  # discard the accumulated rounding errors
            _, self._area, self._time = parts[0]

    def memory(self) -> AverageMemory:
        return AverageMemory(parts=tuple(self._parts), area=self._area, time=self._time, last=self._last)

    def recall(self, memory: AverageMemory) -> None:
        self._parts = deque(memory.parts)
        self._area, self._time, self._last = memory.area, memory.time, memory.last

    @property
    def mean(self) -> float:
        return max(self._area / self._time, 0.0) if self._time else 0.0

    @property
    def covered(self) -> float:
        """Seconds that the numbers cover, up to the span."""
        return self._time


class Extreme:
    """The highest or lowest number within a span that ends now."""

    def __init__(self, span: float, *, highest: bool) -> None:
        self.span = span
        self._sign = 1 if highest else -1
        self._candidates: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> float:
        """Add a number and return the new extreme."""
        signed = value * self._sign
        candidates = self._candidates
        while candidates and candidates[-1][1] <= signed:
            candidates.pop()
        candidates.append((now, signed))
        while candidates[0][0] < now - self.span:
            candidates.popleft()
        return candidates[0][1] * self._sign

    def forget(self) -> None:
        """Forget all numbers."""
        self._candidates.clear()

    def memory(self) -> ExtremeMemory:
        return ExtremeMemory(candidates=_thinned(tuple(self._candidates)))

    def recall(self, memory: ExtremeMemory) -> None:
        self._candidates = deque(memory.candidates)


def _thinned(candidates: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Combine neighbours until there are at most ``FINEST``, which is rare.

    Of two, the later time and the more extreme number stay: it counts a little longer, never shorter.

    >>> _thinned(tuple((float(t), -float(t)) for t in range(1025)))[-2:]
    ((1023.0, -1020.0), (1024.0, -1024.0))
    """
    while len(candidates) > FINEST:
        pairs = zip(candidates[::2], candidates[1::2], strict=False)
        combined = tuple((later, extreme) for (_, extreme), (later, _) in pairs)
        candidates = combined + candidates[len(combined) * 2 :]
    return candidates
