"""The queue in which replicas wait for capacity of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gyrus.backends.local.capacity import Allocations, Claim
from gyrus.backends.local.capacity_messages import waiting

WaitReport = Callable[[str | None], None]
"""Callback with the reason why a replica waits, after each change of it; None when the replica has its share.

None comes before the replica whose share it gets disappears from the observations.
"""


class PlacementQueue:
    """The allocations, and the replicas that wait for a share of them."""

    def __init__(self, allocations: Allocations) -> None:
        self.allocations = allocations
        self._waiting: dict[str, tuple[asyncio.Future[None], WaitReport]] = {}

    async def take(self, claim: Claim, report: WaitReport) -> tuple[str, ...]:
        """Wait for the claimed share, and return the GPUs of it.

        A replica keeps its share until :meth:`release`. Further calls return the same share at once.
        """
        if claim.replica not in self.allocations.shares:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[claim.replica] = (place, report)
            self.turn_to(self.allocations.ask(claim))
            try:
                await place
            except BaseException:
                self._waiting.pop(claim.replica, None)
                self.release(claim.replica)  # it may have got its share while it was cancelled
                raise
        return self.allocations.shares[claim.replica].gpus

    def release(self, replica: str) -> None:
        """Release a replica's share, or remove its claim. Idempotent."""
        self.turn_to(self.allocations.leave(replica))

    def turn_to(self, allocations: Allocations) -> None:
        """Replace the allocations: end the wait of replicas with a new share, report why others wait."""
        if allocations is self.allocations:
            return
        self.allocations = allocations
        for replica in [name for name in self._waiting if name in allocations.shares]:
            place, report = self._waiting.pop(replica)
            if not place.done():
                place.set_result(None)
                report(None)
        for shortage in allocations.shortages():
            if waiter := self._waiting.get(shortage.claim.replica):
                waiter[1](waiting(shortage, allocations))
