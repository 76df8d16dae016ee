"""The results of a replay, summed up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gyrus.cli.replay.observer import ReplaySample, replica_seconds
from gyrus.client.load.result import RequestResult, Result
from gyrus.simulator.figures import SLO_FACTOR, Figures, Percentiles

POLICY = "real"
"""The replay's name in the report, beside the policies of simulations."""
TOO_LATE = 0.05
"""Seconds. If one request in a hundred was sent later than this, the sender did not keep up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Requests that failed for the same cause."""

    cause: str
    number: int
    example: str
    """The message of the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The results of a replay at its end, or when it was interrupted."""

    outcomes: Sequence[RequestResult]
    looks: Sequence[ReplaySample]
    services: Sequence[float] = ()
    """Seconds of work, by the request's number; empty if no service time is given."""
    slo: float | None = None
    """Seconds of latency. None means by the service time; if that is unknown too, any answer is in time."""
    price: float | None = None

    @property
    def ended(self) -> float:
        """Seconds from the beginning to the last answer."""
        return max((outcome.ended for outcome in self.outcomes), default=0.0)

    @property
    def late(self) -> Percentiles | None:
        """Seconds by which the sender was late with its requests."""
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
        """Return the troubles, the most frequent first."""
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
        """Yield for each sample the requests in flight for which no ready replica has a slot."""
        for look in self.looks:
            yield 0 if slots is None else max(0, look.in_flight - look.ready * slots)
