"""What the front counts."""

from __future__ import annotations

from collections import Counter

from gyrus.runtime.front.gate import Gate


class Tally:
    def __init__(self) -> None:
        self._answers: Counter[int] = Counter()
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """An answer was given, so long after its request's head had come."""
        self._answers[status] += 1
        self._seconds += seconds

    def exposition(self, gate: Gate) -> str:
        """In Prometheus' text format."""
        lines = ["# TYPE gyrus_requests_total counter"]
        lines += [
            f'gyrus_requests_total{{code="{code}"}} {count}' for code, count in sorted(self._answers.items())
        ]
        lines += ["# TYPE gyrus_request_seconds_total counter"]
        lines += [f"gyrus_request_seconds_total {self._seconds:.6f}"]
        lines += ["# TYPE gyrus_running gauge", f"gyrus_running {gate.running}"]
        lines += ["# TYPE gyrus_waiting gauge", f"gyrus_waiting {gate.waiting}"]
        return "\n".join(lines) + "\n"
