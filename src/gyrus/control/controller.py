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
"""Seconds within which every API is looked at, in case a change was never reported."""

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
        """Add every API at once, since an operator before this one may have missed a change; then each of
        them once in a period, spread evenly over it."""
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
        """Return the APIs that are stored, or of which a replica exists."""
        stored = {api.name for api in await self.reconciler.store.apis()}
        return tuple(sorted(stored.union(self.reconciler.backend.apis())))

    async def _forget_packages(self) -> None:
        while True:
            await self.reconciler.clock.sleep(PACKAGE_KEEP.total_seconds())
            unused_since = self.reconciler.clock.now() - PACKAGE_KEEP
            forgotten = await self.reconciler.store.forget_packages(unused_since)
            await self.reconciler.backend.forget_packages(frozenset(forgotten))
