"""The phase in which a supervisor runs: the backend reads its status file whenever it may have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gyrus.aio.clock import Clock
from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.local.observed_status import ObservedStatus
from gyrus.backends.local.placement import PlacementQueue
from gyrus.backends.local.supervisor_process import SupervisorProcess
from gyrus.contract.replica import FINAL, ReplicaStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StatusWatcher:
    folder: ReplicaFolder
    status: ObservedStatus
    placement: PlacementQueue
    noticed: asyncio.Event
    """Notification that the status may have changed."""
    reread: float
    """Seconds after which the file is read without a notification."""
    unreported: float
    """Seconds without a readable status after which the supervisor is replaced."""
    clock: Clock

    async def watch(self, supervisor: SupervisorProcess, changed: Callable[[], None]) -> None:
        """Follow the supervisor's reports until it exits. Calls ``changed`` after each read.

        A supervisor without a readable status is ended after a while: its replica would never be ready. One
        of this version writes a lost or damaged file again long before.
        """
        reported_at = self.clock.monotonic()
        with supervisor.watch(self.noticed) as watch:
            while not watch.exited:
                if await self.refresh(supervisor.pid):
                    reported_at = self.clock.monotonic()
                elif self.clock.monotonic() - reported_at > self.unreported:
                    await self._replace(supervisor)
                    reported_at = self.clock.monotonic()
                changed()
                await watch.wait(self.reread)

    async def refresh(self, pid: int) -> bool:
        """Read the status file, and release the replica's share of the machine if it is final.

        Returns False if the file is missing, damaged, or of another supervisor than that with this pid.
        """
        status = await asyncio.to_thread(self.folder.status)
        if status is None or not self._is_of(status, pid):
            return False
        self.status.take(status)
        if status.phase in FINAL:  # no process of the user runs, or will run
            self.placement.release(self.folder.id)
        return True

    def _is_of(self, status: ReplicaStatus, pid: int) -> bool:
        return status.id == self.folder.id and status.pid in (pid, None)

    async def _replace(self, supervisor: SupervisorProcess) -> None:
        """End a supervisor that does not report. It is not at fault while its folder cannot be written."""
        if not await asyncio.to_thread(self.folder.is_writable):
            log.error("The status of %s is missing, and its folder cannot be written", self.folder.id)
            return
        log.error(
            "The supervisor of %s has had no readable status for %g s: ending it, to start another",
            self.folder.id,
            self.unreported,
        )
        supervisor.kill()
