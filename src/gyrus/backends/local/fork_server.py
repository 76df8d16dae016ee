"""One fork server, from the expectation of orders to its end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gyrus.aio.start_limiter import FairSemaphore, Permit
from gyrus.aio.tasks import run_until
from gyrus.backends.local.configuration import WORK_FOLDER, LaunchContext, configure
from gyrus.backends.local.fork_server_process import ForkServerFolder, ForkServerProcess
from gyrus.backends.local.preparation import CannotLaunch, Services, prepare_shared
from gyrus.backends.local.supervisor_process import ExitWatch, SupervisorProcess
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.fork_server import ForkServerConfig, ForkServerPhase, ForkServerStatus
from gyrus.contract.operator import ForkServerView
from gyrus.contract.replica import Phase, Reason
from gyrus.contract.system_limits import explain

log = logging.getLogger(__name__)

MOST_DEATHS = 5
"""Deaths in a row before a fork server is ready, after which it is given up."""
LONG = 3600.0
"""Seconds between two checks of a process whose exit the system notifies."""
NOT_LINUX = "forks need Linux"
HAS_GPU = "CUDA does not survive a fork, and it has a GPU"
NOT_LOADED = "the fork server had not loaded the handler yet"
DIED = "the fork server had died"


def name_of(order: ReplicaOrder) -> str:
    return f"{order.api}-{order.revision}"


def unsafe_to_fork(order: ReplicaOrder) -> str | None:
    """Return why replicas like this one can never be forks. Returns None if they can."""
    if not sys.platform.startswith("linux"):
        return NOT_LINUX
    return HAS_GPU if order.workload.compute.gpu else None


def _report_nothing(phase: Phase, message: str, reason: Reason | None = None) -> None:
    """Ignore the progress: a fork server is no replica, and has no status."""


@dataclass(frozen=True, slots=True)
class ReadyForkServer:
    """A fork server whose process takes orders."""

    context: LaunchContext
    process: ForkServerProcess
    socket: str
    memory: int
    """Bytes of memory that the process uses."""

    async def fork(self, config_file: Path, known: Callable[[SupervisorProcess], None]) -> SupervisorProcess:
        """Fork a replica and return its supervisor. Raises ForkFailed."""
        return await self.process.fork(self.socket, config_file, known)


class ForkServer:
    def __init__(
        self,
        order: ReplicaOrder,
        folder: ForkServerFolder,
        services: Services,
        starts: FairSemaphore,
        changed: Callable[[], None],
    ) -> None:
        """Create a fork server, which :meth:`run` starts.

        ``order``: an example of the expected orders. ``starts``: the permits to load. ``changed``: called
        after each change of the view.
        """
        self.order = order
        self.name = name_of(order)
        self.ready: ReadyForkServer | None = None
        self.because = NOT_LOADED
        """The reason why no process is ready."""
        self._given_up = False
        self._changed = changed
        self._folder = folder
        self._services = services
        self._starts = starts
        self._noticed = asyncio.Event()
        self._ending = asyncio.Event()

    def suits(self, order: ReplicaOrder) -> bool:
        """Return True if it can serve this order. The generation of the order does not matter."""
        ours = self.order
        return (order.revision, order.workload) == (ours.revision, ours.workload)

    @property
    def view(self) -> ForkServerView:
        if self.ready:
            return ForkServerView(phase=ForkServerPhase.READY, memory=self.ready.memory)
        phase = ForkServerPhase.IMPOSSIBLE if self._given_up else ForkServerPhase.LOADING
        return ForkServerView(phase=phase, because=self.because)

    def notice(self) -> None:
        self._noticed.set()

    def end(self) -> None:
        """End the fork server; :meth:`run` returns when its process is gone."""
        self._ending.set()
        self.ready = None

    async def run(self) -> None:
        """Run until :meth:`end` is called and the process is gone. Cancelling leaves the process running."""
        await run_until(self._ending, self._live())
        await self._ending.wait()
        await asyncio.to_thread(self._folder.clear)

    async def _live(self) -> None:
        """Run one process after another. Returns when it is given up."""
        deaths = 0
        while deaths < MOST_DEATHS:
            try:
                deaths = 0 if await self._run_process() else deaths + 1
            except CannotLaunch as fault:
                self._give_up(str(fault))
                return
            except Exception as error:
                log.warning("Fork server %s could not start", self.name, exc_info=error)
                self.because = f"the fork server could not start: {explain(error)}"
                deaths += 1
            await self._services.clock.sleep(self._services.settings.backoff.delay(deaths))
        self._give_up(f"the fork server died {deaths} times while it loaded")

    def _give_up(self, because: str) -> None:
        log.info("Replicas of %s start cold: %s", self.name, because)
        self.because, self._given_up = because, True
        self._changed()

    async def _run_process(self) -> bool:
        """Run one process until it dies. Returns whether it was ready. Raises CannotLaunch, OSError."""
        self.because = NOT_LOADED
        context = await prepare_shared(
            self.order, self._folder.path / "project", self._services, _report_nothing
        )
        config = self._configure(context)
        if process := await asyncio.to_thread(self._folder.find, config):
            return await self._watch(process, config, context)
        permit = await self._starts.take(lambda before: None)
        try:
            await asyncio.to_thread(self._folder.prepare, config)
            process = ForkServerProcess.launch(config.replica.python, self._folder)
            return await self._watch(process, config, context, permit)
        finally:
            permit.release()

    def _configure(self, context: LaunchContext) -> ForkServerConfig:
        home = self._services.home
        replica, preload = configure(self.order, context, home), self.order.workload.code.preload
        assert preload
        return ForkServerConfig(
            name=self.name,
            preload=preload,
            socket=str(home.run / f"{self.name}.fork"),
            replica=replace(replica, id="", log_dir="", work_dir=str(self._folder.path / WORK_FOLDER)),
        )

    async def _watch(
        self,
        process: ForkServerProcess,
        config: ForkServerConfig,
        context: LaunchContext,
        permit: Permit | None = None,
    ) -> bool:
        """Watch the process until it dies. Returns whether it was ready. Raises CannotLaunch."""
        was_ready = False
        with ExitWatch(process, self._noticed) as watch:
            while not watch.exited:
                if not was_ready and (status := await self._ready_status()):
                    was_ready = True
                    self.ready = ReadyForkServer(context, process, config.socket, status.memory)
                    self._changed()
                    if permit:
                        permit.release()
                await watch.wait(LONG if was_ready else self._services.settings.reread)
        self.ready, self.because = None, DIED
        self._changed()
        process.reap()
        if (
            status := await asyncio.to_thread(self._folder.status)
        ) and status.phase is ForkServerPhase.IMPOSSIBLE:
            raise CannotLaunch(Reason.IMPORT, status.because)
        return was_ready

    async def _ready_status(self) -> ForkServerStatus | None:
        status = await asyncio.to_thread(self._folder.status)
        return status if status and status.phase is ForkServerPhase.READY else None
