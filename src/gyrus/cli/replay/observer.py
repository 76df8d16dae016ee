"""The API as its operator reports it, sampled every second while it is under load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gyrus.client.client import Client
from gyrus.client.errors import ClientError
from gyrus.contract.operator import ApiDescription
from gyrus.contract.replica import Phase

EVERY = 1.0
"""Seconds between two samples."""

_THERE = frozenset(Phase) - {Phase.GONE, Phase.FAILED, Phase.SUCCEEDED}
"""Phases in which a replica uses capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySample:
    at: float
    """Seconds since the load began."""
    requested: int
    running: int
    """Replicas that exist: starting, ready and draining ones alike."""
    ready: int
    in_flight: int

    @classmethod
    def of(cls, description: ApiDescription, at: float) -> ReplaySample:
        api = description.api
        return cls(
            at=at,
            requested=api.replicas.requested,
            running=sum(replica.status.phase in _THERE for replica in description.replicas),
            ready=api.replicas.ready,
            in_flight=api.in_flight,
        )


class Observer:
    """Samples an API until it is cancelled. It asks again a second later if the operator does not answer."""

    def __init__(self, client: Client, first: ApiDescription) -> None:
        """Observe the API that ``first`` describes as it was before the load."""
        self._client = client
        self._name = first.api.name
        self.looks = [ReplaySample.of(first, 0.0)]
        self.missed = 0
        """Samples that the operator did not answer."""

    async def run(self, elapsed: Callable[[], float]) -> None:
        while True:
            # Aligned to whole seconds, so that a slow answer does not delay the later samples.
            await asyncio.sleep(EVERY - elapsed() % EVERY)
            await self._look(elapsed())

    async def _look(self, at: float) -> None:
        try:
            description = await asyncio.to_thread(self._client.describe, self._name)
        except ClientError:
            self.missed += 1
        else:
            self.looks.append(ReplaySample.of(description, at))


def replica_seconds(looks: Sequence[ReplaySample], end: float) -> float:
    """Return the replica-seconds from the beginning to ``end``. A sample counts until the next one.

    >>> steps = ((0, 1), (1, 3))
    >>> looks = [ReplaySample(at=at, requested=n, running=n, ready=n, in_flight=0) for at, n in steps]
    >>> replica_seconds(looks, 3.0)
    7.0
    """
    times = [*(look.at for look in looks), end]
    return sum(
        look.running * max(0.0, min(until, end) - since)
        for look, since, until in zip(looks, times, times[1:], strict=False)
    )
