"""The schedule of the reconciler: which API to reconcile, and when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from gyrus.aio.backoff import Backoff
from gyrus.aio.signals import Signals
from gyrus.aio.tasks import persist
from gyrus.aio.workqueue import WorkQueue
from gyrus.control.reconciler import Reconciler

RETRY = Backoff(0.2, 30)

WORKERS = 16
"""APIs that are reconciled at the same time."""

RESYNC = 30.0
"""Seconds within which every API is reconciled, in case a change was never signalled."""

PACKAGE_KEEP = timedelta(hours=1)
"""Time for which a package is kept without a revision that refers to it: its deploy may be under way."""


@dataclass(slots=True)
class Controller:
    """Reconciles every API with its intent, until cancelled. Cancelling stops no replica."""

    reconciler: Reconciler
    queue: WorkQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.reconciler.clock, backoff=RETRY)

    async def restore(self) -> None:
        """Fill the board before routing starts: see :meth:`Reconciler.restore`."""
        await self.reconciler.restore()

    async def run(self) -> None:
        board = self.reconciler.board
        sources = {
            "intent": board.intent_signals,
            "gateway": board.acknowledged_signals,
            "backend": self.reconciler.backend.changes,
        }
        async with asyncio.TaskGroup() as group:
            for name, signals in sources.items():
                group.create_task(self._listen(signals), name=f"control: signals of {name}")
            for name, body in {"resync": self._resync, "packages": self._forget_packages}.items():
                forever = persist(f"control: {name}", body, backoff=RETRY, clock=self.reconciler.clock)
                group.create_task(forever, name=f"control: {name}")
            work = self.queue.run(WORKERS, self.reconciler.reconcile, name="control: reconcile")
            group.create_task(work, name="control: reconcile")

    async def _listen(self, signals: Signals) -> None:
        with signals.listen() as listener:
            async for names in listener:
                for name in names:
                    self.queue.add(name)

    async def _resync(self) -> None:
        """Add every API at once, and then each of them once in a period, spread evenly over it.

        All are added at the start because an earlier operator may have ended in the middle of a change.
        """
        for name in await self._every_api():
            self.queue.add(name)
        while True:
            names = await self._every_api()
            for name in names:
                await self.reconciler.clock.sleep(RESYNC / len(names))
                self.queue.add(name)
            if not names:
                await self.reconciler.clock.sleep(RESYNC)

    async def _every_api(self) -> tuple[str, ...]:
        """Return the APIs that are stored, and those of which the backend has (orphaned) replicas.

        Counts of dropped events of all others are forgotten.
        """
        stored = {api.name for api in await self.reconciler.store.apis()}
        self.reconciler.events.forget_others(stored)
        return tuple(sorted(stored.union(self.reconciler.backend.apis())))

    async def _forget_packages(self) -> None:
        while True:
            await self.reconciler.clock.sleep(PACKAGE_KEEP.total_seconds())
            unused_since = self.reconciler.clock.now() - PACKAGE_KEEP
            forgotten = await self.reconciler.store.forget_packages(unused_since)
            await self.reconciler.backend.forget_packages(frozenset(forgotten))
