"""What the outcomes of a replay come to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gyrus.cli.replay.observer import ReplaySample, replica_seconds
from gyrus.client.load.result import RequestResult, Result
from gyrus.simulator.figures import SLO_FACTOR, Figures, Percentiles

POLICY = "real"
"""What the report calls reality, beside the policies of rehearsals."""
TOO_LATE = 0.05
"""Seconds. Where one request in a hundred was sent later than this, the sender could not keep up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Requests that failed alike."""

    cause: str
    number: int
    example: str
    """What was said about the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All that is known of a replay at its end, or when it was interrupted."""

    outcomes: Sequence[RequestResult]
    looks: Sequence[ReplaySample]
    services: Sequence[float] = ()
    """Seconds of work, by the request's number; empty: nobody said."""
    slo: float | None = None
    """Seconds of latency. None: by the service time, or where that is unknown, any answer will do."""
    price: float | None = None

    @property
    def ended(self) -> float:
        """When the last answer came, in seconds since the beginning."""
        return max((outcome.ended for outcome in self.outcomes), default=0.0)

    @property
    def late(self) -> Percentiles | None:
        """By how much the sender was late with its requests."""
        return Percentiles.of(outcome.late for outcome in self.outcomes)

    @property
    def kept_up(self) -> bool:
        return self.late is None or self.late.p99 <= TOO_LATE

    def figures(self) -> Figures:
        fates = Counter(outcome.fate for outcome in self.outcomes)
        worked = (outcome for outcome in self.outcomes if outcome.fate in (Result.ANSWERED, Result.TIMED_OUT))
        return Figures(
            policy=POLICY,
            requests=len(self.outcomes),
            answered=fates[Result.ANSWERED],
            refused=fates[Result.REFUSED],
            timed_out=fates[Result.TIMED_OUT],
            failed=fates[Result.FAILED],
            slo_misses=sum(self._missed(outcome) for outcome in self.outcomes),
            wait=None,
            latency=Percentiles.of(outcome.latency for outcome in worked),
            replica_seconds=replica_seconds(self.looks, self.ended),
            price=self.price,
            peak_replicas=max((look.running for look in self.looks), default=0),
            scalings=sum(
                look.requested != before.requested
                for before, look in zip(self.looks, self.looks[1:], strict=False)
            ),
        )

    def troubles(self) -> list[Trouble]:
        """The most frequent first."""
        numbers = Counter(outcome.cause for outcome in self.outcomes if outcome.cause)
        examples = {outcome.cause: outcome.example for outcome in reversed(self.outcomes)}
        return [
            Trouble(cause=cause, number=number, example=examples[cause])
            for cause, number in numbers.most_common()
        ]

    def _missed(self, outcome: RequestResult) -> bool:
        objective = self._objective(outcome)
        late = objective is not None and outcome.latency > objective
        return late or outcome.fate is not Result.ANSWERED

    def _objective(self, outcome: RequestResult) -> float | None:
        if self.slo is not None:
            return self.slo
        return SLO_FACTOR * self.services[outcome.number] if self.services else None

    def waiting(self, slots: int | None) -> Iterator[int]:
        """By look: the requests in flight for which no ready replica has a slot."""
        for look in self.looks:
            yield 0 if slots is None else max(0, look.in_flight - look.ready * slots)
