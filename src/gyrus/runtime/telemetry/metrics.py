"""Metrics of a process, in Prometheus' text format. One event loop writes them, so no lock is needed."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "gyrus_replica_"
"""Prefix of the names, since the operator has counts of its own for the same requests."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds; upper bounds."""


class Metrics:
    """Counters of one process."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)
        """Counts per bucket, not cumulative; the last one is for answers beyond the last bound."""
        self.rejected = 0
        self.requeued = 0
        self.timed_out = 0
        self.abandoned = 0
        self.batches = 0
        self.poisoned = 0

    def tally(self, status: int, seconds: float) -> None:
        """Count an answer that has begun this many seconds after its request was complete."""
        self.by_status[status] += 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def exposition(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """Format the metrics. ``gauges``: help text and value of further metrics by name."""
        lines = [*self._counters(), *self._histogram()]
        for name, (help_text, value) in gauges.items():
            lines += _metric(f"{PREFIX}{name}", "gauge", help_text, [("", value)])
        return ("\n".join(lines) + "\n").encode()

    def _counters(self) -> Iterator[str]:
        codes = ((f'{{code="{code}"}}', count) for code, count in sorted(self.by_status.items()))
        yield from _metric(f"{PREFIX}requests_total", "counter", "Answers by status.", codes)
        for name, help_text, value in (
            ("rejected", "Requests refused because the queue was full.", self.rejected),
            ("requeued", "Requests requeued before they were started.", self.requeued),
            ("timed_out", "Requests that were not answered within the timeout.", self.timed_out),
            ("abandoned", "Requests whose client disconnected before the answer.", self.abandoned),
            ("poisoned", "Requests refused because they took down two workers.", self.poisoned),
            ("batches", "Batches that the handler was called with.", self.batches),
        ):
            yield from _metric(f"{PREFIX}{name}_total", "counter", help_text, [("", value)])

    def _histogram(self) -> Iterator[str]:
        name, cumulated = f"{PREFIX}request_duration_seconds", 0
        yield f"# HELP {name} Seconds from a complete request to the start of its answer."
        yield f"# TYPE {name} histogram"
        for end, count in zip((*map(str, BUCKETS), "+Inf"), self.buckets, strict=True):
            cumulated += count
            yield f'{name}_bucket{{le="{end}"}} {cumulated}'
        yield f"{name}_sum {self.seconds}"
        yield f"{name}_count {cumulated}"


def _metric(name: str, kind: str, help_text: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labels} {value}"
