"""A replica's life while its supervisor runs: the status file is read whenever it may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.local.observed_status import ObservedStatus
from gyrus.backends.local.placement import PlacementQueue
from gyrus.backends.local.supervisor_process import SupervisorProcess
from gyrus.contract.replica import FINAL


@dataclass(frozen=True, slots=True)
class Watcher:
    folder: ReplicaFolder
    status: ObservedStatus
    placement: PlacementQueue
    noticed: asyncio.Event
    """Set when the status may have changed."""
    reread: float
    """Seconds after which the file is read though nothing was noticed."""

    async def watch(self, supervisor: SupervisorProcess, changed: Callable[[], None]) -> None:
        """Follow what the supervisor says until it exits. ``changed`` is called after every look."""
        with supervisor.watch(self.noticed) as watch:
            while not watch.exited:
                await self.refresh()
                changed()
                await watch.wait(self.reread)

    async def refresh(self) -> None:
        if status := await asyncio.to_thread(self.folder.status):
            self.status.take(status)
            if status.phase in FINAL:  # of the user's processes, nothing runs or will
                self.placement.release(self.folder.id)
