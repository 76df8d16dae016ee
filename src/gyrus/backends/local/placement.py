"""Replicas wait here for their place on the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gyrus.backends.local.capacity import Allocations, Claim
from gyrus.backends.local.capacity_messages import waiting

Report = Callable[[str | None], None]
"""Told what a replica waits for, whenever that changes, and None at the moment when it has got its place:
before whoever made way for it is seen to be gone."""


class PlacementQueue:
    """The ledger, and those who wait to be found in it."""

    def __init__(self, allocations: Allocations) -> None:
        self.allocations = allocations
        self._waiting: dict[str, tuple[asyncio.Future[None], Report]] = {}

    async def take(self, claim: Claim, report: Report) -> tuple[str, ...]:
        """Wait for what is claimed; the GPUs that come with it.

        A replica keeps what it holds until :meth:`release`: it takes it over and over.
        """
        if claim.replica not in self.allocations.shares:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[claim.replica] = (place, report)
            self.turn_to(self.allocations.ask(claim))
            try:
                await place
            except BaseException:
                self._waiting.pop(claim.replica, None)
                self.release(claim.replica)
                raise
        return self.allocations.shares[claim.replica].gpus

    def release(self, replica: str) -> None:
        """Idempotent."""
        self.turn_to(self.allocations.leave(replica))

    def turn_to(self, allocations: Allocations) -> None:
        """The next page: who has got something goes on, the others are told what they wait for."""
        if allocations is self.allocations:
            return
        self.allocations = allocations
        for replica in [name for name in self._waiting if name in allocations.shares]:
            place, report = self._waiting.pop(replica)
            if not place.done():
                place.set_result(None)
                report(None)
        for shortage in allocations.shortages():
            if told := self._waiting.get(shortage.claim.replica):
                told[1](waiting(shortage, allocations))
