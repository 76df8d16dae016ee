"""The phase in which a supervisor runs: the backend reads its status file whenever it may have changed."""

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
class StatusWatcher:
    folder: ReplicaFolder
    status: ObservedStatus
    placement: PlacementQueue
    noticed: asyncio.Event
    """Notification that the status may have changed."""
    reread: float
    """Seconds after which the file is read without a notification."""

    async def watch(self, supervisor: SupervisorProcess, changed: Callable[[], None]) -> None:
        """Follow the supervisor's reports until it exits. Calls ``changed`` after each read."""
        with supervisor.watch(self.noticed) as watch:
            while not watch.exited:
                await self.refresh()
                changed()
                await watch.wait(self.reread)

    async def refresh(self) -> None:
        """Read the status file, and release the replica's share of the machine if it is final."""
        if status := await asyncio.to_thread(self.folder.status):
            self.status.take(status)
            if status.phase in FINAL:  # no process of the user runs, or will run
                self.placement.release(self.folder.id)
