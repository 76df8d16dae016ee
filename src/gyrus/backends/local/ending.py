"""A replica's end: the request to stop, the drain, the kill when the grace is over, and the clean-up."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from gyrus.backends.local.folder import ReplicaFolder, StopRecord
from gyrus.backends.local.observed_status import ObservedStatus
from gyrus.backends.local.preparation import Services
from gyrus.backends.local.supervisor_process import SupervisorProcess, kill_leftovers, remove_run_files
from gyrus.backends.local.watching import StatusWatcher

log = logging.getLogger(__name__)

LAST_RESORT = 5.0
"""Seconds to wait for killed processes to vanish."""


class Termination:
    """The request to end a replica, and its deadline. It is written to the folder before it takes effect."""

    def __init__(self, folder: ReplicaFolder) -> None:
        self.begun = asyncio.Event()
        self.deadline = 0.0
        """Seconds since the epoch."""
        self._folder = folder

    async def request(self, deadline: float) -> bool:
        """Record the request. Returns False if it changes nothing: later ones only bring the end forward."""
        if not self.begun.is_set():
            await self._write_down(StopRecord(deadline))
        # Checked again: another call may have begun during the write.
        if self.begun.is_set() and deadline >= self.deadline:
            return False
        self.begin(deadline)
        return True

    def begin(self, deadline: float) -> None:
        self.deadline = deadline
        self.begun.set()

    async def _write_down(self, stop: StopRecord) -> None:
        """Write the request to the folder, so that the next operator follows it if this one dies now."""
        try:
            await asyncio.to_thread(self._folder.mark_stopped, stop)
        except OSError as error:
            log.warning("The request to stop %s could not be written: %s", self._folder.id, error)


@dataclass(frozen=True, slots=True)
class Terminator:
    folder: ReplicaFolder
    services: Services
    status: ObservedStatus
    watcher: StatusWatcher
    termination: Termination

    async def end(self, supervisor: SupervisorProcess | None) -> None:
        """End the supervisor and remove the folder. Returns when nothing of the replica is left.

        Raises OSError if something cannot be removed. Another call tries again.
        """
        if supervisor:
            await self._drain(supervisor)
            supervisor.reap()
        await self._kill_leftovers()
        self.services.placement.release(self.folder.id)
        await asyncio.to_thread(remove_run_files, self.services.home.run, self.folder.id)
        await asyncio.to_thread(self.folder.remove)

    async def clear(self) -> None:
        """Remove what an earlier supervisor left: processes and sockets. Raises OSError."""
        await self._kill_leftovers()
        await asyncio.to_thread(remove_run_files, self.services.home.run, self.folder.id)

    async def _kill_leftovers(self) -> None:
        launch = self.status.launch
        if launch.pid is not None:
            await asyncio.to_thread(kill_leftovers, launch.pid, self.folder.id)
            self.status.launch = replace(launch, pid=None)

    async def _drain(self, supervisor: SupervisorProcess) -> None:
        supervisor.terminate()
        reread = self.services.settings.reread
        with supervisor.watch(self.watcher.noticed) as watch:
            while not watch.exited and self._now() < self._kill_at:
                await self.watcher.refresh(supervisor.pid)
                await watch.wait(min(self._kill_at - self._now(), reread))
            if not watch.exited:
                log.warning("%s did not end in time; killing it", self.folder.id)
                supervisor.kill()
            given_up = self._now() + LAST_RESORT
            while not watch.exited and self._now() < given_up:
                await watch.wait(0.5)

    @property
    def _kill_at(self) -> float:
        return self.termination.deadline + self.services.settings.kill_margin

    def _now(self) -> float:
        return self.services.clock.now().timestamp()
