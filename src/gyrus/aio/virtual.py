"""A clock that stands still until the test advances it: minutes pass in a millisecond of test."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

TURNS = 50
"""Turns of the event loop that woken tasks get before time advances.

The clock does not wait for work in threads or for real I/O.
"""


class VirtualClock:
    """A :class:`~gyrus.aio.clock.Clock` for tests."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waking = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), waking))
        await waking

    @property
    def next_wake(self) -> float | None:
        """Seconds until the next sleeper wakes; None while no task sleeps."""
        due = [when for when, _, waking in self._sleepers if not waking.done()]
        return min(due) - self._elapsed if due else None

    async def settle(self) -> None:
        """Let every task that can proceed do so, without time passing."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass.

        Sleepers wake in the order of their times, each at its own, and act before the next one wakes.
        """
        await self.settle()
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, waking = heapq.heappop(self._sleepers)
            if waking.done():  # its sleeper was cancelled
                continue
            self._elapsed = max(self._elapsed, when)
            waking.set_result(None)
            await self.settle()
        self._elapsed = end
