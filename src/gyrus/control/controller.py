"""Runs the reconciler: which API to look at, and when."""

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
"""APIs that are worked on at the same time."""

RESYNC = 30.0
"""Seconds between looks at every API, in case a hint was never rung."""

PACKAGE_KEEP = timedelta(hours=1)
"""How long a package that no revision refers to is kept: its deploy may be under way."""


@dataclass(slots=True)
class Controller:
    """Keeps every API on its way to what is wanted, until cancelled. Cancelling stops no replica."""

    reconciler: Reconciler
    queue: WorkQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.reconciler.clock, backoff=RETRY)

    async def restore(self) -> None:
        """See :meth:`Reconciler.restore`."""
        await self.reconciler.restore()

    async def run(self) -> None:
        board = self.reconciler.board
        sources = {
            "intent": board.intent_signals,
            "gateway": board.acknowledged_signals,
            "backend": self.reconciler.backend.changes,
        }
        async with asyncio.TaskGroup() as group:
            for name, hints in sources.items():
                group.create_task(self._listen(hints), name=f"control: hints of {name}")
            for name, body in {"resync": self._resync, "packages": self._forget_packages}.items():
                forever = persist(f"control: {name}", body, backoff=RETRY, clock=self.reconciler.clock)
                group.create_task(forever, name=f"control: {name}")
            work = self.queue.run(WORKERS, self.reconciler.reconcile, name="control: reconcile")
            group.create_task(work, name="control: reconcile")

    async def _listen(self, hints: Signals) -> None:
        with hints.listen() as listener:
            async for names in listener:
                for name in names:
                    self.queue.add(name)

    async def _resync(self) -> None:
        while True:
            for stored in await self.reconciler.store.apis():
                self.queue.add(stored.name)
            for api in self.reconciler.backend.apis():
                self.queue.add(api)
            await self.reconciler.clock.sleep(RESYNC)

    async def _forget_packages(self) -> None:
        while True:
            await self.reconciler.clock.sleep(PACKAGE_KEEP.total_seconds())
            unused_since = self.reconciler.clock.now() - PACKAGE_KEEP
            forgotten = await self.reconciler.store.forget_packages(unused_since)
            await self.reconciler.backend.forget_packages(frozenset(forgotten))
