"""A replica's end: it was told to stop, drains, is killed when its time is over, and leaves nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from gyrus.backends.local.folder import ReplicaFolder, StopRecord
from gyrus.backends.local.observed_status import ObservedStatus
from gyrus.backends.local.preparation import Services
from gyrus.backends.local.supervisor_process import SupervisorProcess, kill_leftovers, remove_sockets
from gyrus.backends.local.watching import Watcher

log = logging.getLogger(__name__)

LAST_RESORT = 5.0
"""Seconds that killed processes may take to vanish before we go on without them."""


class Termination:
    """Whether a replica is to end, and by when. Written down before it is acted upon."""

    def __init__(self, folder: ReplicaFolder) -> None:
        self.begun = asyncio.Event()
        self.deadline = 0.0
        """Seconds since the epoch."""
        self._folder = folder

    async def request(self, deadline: float) -> bool:
        """Whether that changes anything: a later request may only hasten the end."""
        if not self.begun.is_set():
            await self._write_down(StopRecord(deadline))
        if self.begun.is_set() and deadline >= self.deadline:
            return False
        self.begin(deadline)
        return True

    def begin(self, deadline: float) -> None:
        self.deadline = deadline
        self.begun.set()

    async def _write_down(self, stop: StopRecord) -> None:
        """So that it is stopped even if our process dies now."""
        try:
            await asyncio.to_thread(self._folder.mark_stopped, stop)
        except OSError as error:
            log.warning("that %s is to stop could not be written down: %s", self._folder.id, error)


@dataclass(frozen=True, slots=True)
class Terminator:
    folder: ReplicaFolder
    services: Services
    status: ObservedStatus
    watcher: Watcher
    termination: Termination

    async def end(self, supervisor: SupervisorProcess | None) -> None:
        """Returns when nothing of the replica runs, and its folder is gone."""
        if supervisor:
            await self._drain(supervisor)
            supervisor.reap()
        await self.clear()
        self.services.placement.release(self.folder.id)
        try:
            await asyncio.to_thread(self.folder.remove)
        except OSError as error:
            log.warning("the folder of %s could not be removed: %s", self.folder.id, error)

    async def clear(self) -> None:
        """Nothing of an earlier supervisor may be left."""
        launch = self.status.launch
        if launch.pid is not None:
            await asyncio.to_thread(kill_leftovers, launch.pid, self.folder.id)
            self.status.launch = replace(launch, pid=None)
        await asyncio.to_thread(remove_sockets, self.services.home.run, self.folder.id)

    async def _drain(self, supervisor: SupervisorProcess) -> None:
        supervisor.terminate()
        reread = self.services.settings.reread
        with supervisor.watch(self.watcher.noticed) as watch:
            while not watch.exited and self._now() < self._kill_at:
                await self.watcher.refresh()
                await watch.wait(min(self._kill_at - self._now(), reread))
            if not watch.exited:
                log.warning("%s did not end in time and is killed", self.folder.id)
                supervisor.kill()
            given_up = self._now() + LAST_RESORT
            while not watch.exited and self._now() < given_up:
                await watch.wait(0.5)

    @property
    def _kill_at(self) -> float:
        return self.termination.deadline + self.services.settings.kill_margin

    def _now(self) -> float:
        return self.services.clock.now().timestamp()
