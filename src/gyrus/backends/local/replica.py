"""One replica from its order to its end.

::

    PENDING → BUILDING → PENDING (permit) → STARTING → as in status.json ─────┐
       ▲          │                                          supervisor died  │
       │       FAILED                                                         ▼
       └─────────────────────────── after the back-off ─────────────────── BACKOFF

    With RestartPolicy.NEVER:  STARTING → … → SUCCEEDED or FAILED, after one launch at most
    FAILED and SUCCEEDED stay until the replica is stopped
    stop, at any point:        DRAINING → gone

Each phase has a module: ``preparation``, ``launching``, ``watching``, ``ending``. All of them report to
``observed_status``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace

from gyrus.aio.start_limiter import Permit
from gyrus.aio.tasks import run_until
from gyrus.backends.local.capacity import Claim, needs_of
from gyrus.backends.local.ending import Termination, Terminator
from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder, StopRecord
from gyrus.backends.local.fork_servers import ForkServers
from gyrus.backends.local.launching import Launcher
from gyrus.backends.local.observed_status import ObservedStatus
from gyrus.backends.local.preparation import CannotLaunch, ModelsUnreachable, Services, prepare
from gyrus.backends.local.supervisor_process import SupervisorProcess, kill_leftovers
from gyrus.backends.local.watching import StatusWatcher
from gyrus.backends.protocol import Observation, ReplicaOrder
from gyrus.contract.replica import Phase, Reason, ReplicaStatus, RestartPolicy
from gyrus.contract.system_limits import explain

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The parts of a replica that an earlier operator left."""

    supervisor: SupervisorProcess | None = None
    """The supervisor that runs; None if none does."""
    status: ReplicaStatus | None = None
    launch: LaunchRecord | None = None
    """The last launch; None if there was none."""
    stop: StopRecord | None = None
    ordered_at: float | None = None
    """Seconds since the epoch at the order. None means now."""
    holds: bool = False
    """True if it has a share of the machine."""
    fault: str = ""
    """A clause: the reason why it could not be started again. Empty if it could."""

    @property
    def devices(self) -> tuple[str, ...]:
        """GPUs of its share."""
        return self.launch.devices if self.launch else ()


class LocalReplica:
    """The list of phases that a replica goes through, and the owner of its supervisor."""

    def __init__(
        self,
        order: ReplicaOrder,
        folder: ReplicaFolder,
        services: Services,
        fork_servers: ForkServers,
        changed: Callable[[], None],
        found: Found | None = None,
    ) -> None:
        """``found``: None if the order is new."""
        fresh, found = found is None, found or Found()
        self.order = order
        self._services = services
        self._folder = folder
        self._fork_servers = fork_servers
        self._ordered_at = self._now() if found.ordered_at is None else found.ordered_at
        self._noticed = asyncio.Event()
        self._fresh = fresh
        """True if there was no supervisor before."""
        self._launched_before = found.launch is not None
        self._failures = 0
        self._supervisor = found.supervisor
        self._fault = found.fault
        self._status = ObservedStatus(order, self._ordered_at, found.launch or LaunchRecord(), changed)
        self._termination = Termination(folder)
        self._launcher = Launcher(order, folder, services.home, fork_servers, self._status)
        settings = services.settings
        self._watcher = StatusWatcher(
            folder,
            self._status,
            services.placement,
            self._noticed,
            settings.reread,
            settings.unreported,
            services.clock,
        )
        self._terminator = Terminator(folder, services, self._status, self._watcher, self._termination)
        self._resume(found)

    def _resume(self, found: Found) -> None:
        if found.status:
            self._status.take(found.status)
        elif found.supervisor:
            self._status.report(Phase.STARTING, "starting")
        if found.stop:
            self._termination.begin(found.stop.deadline)
            self._status.drain()

    # Interface

    @property
    def observation(self) -> Observation:
        return Observation(generation=self.order.generation, status=self._status.value)

    @property
    def claim(self) -> Claim:
        """Its requirements of the machine."""
        order = self.order
        needs = needs_of(order.workload.compute)
        return Claim(replica=order.id, api=order.api, needs=needs, at=self._ordered_at)

    def notice(self) -> None:
        """Make the replica read its status, which may have changed."""
        self._noticed.set()

    async def stop(self, grace: float) -> None:
        """Begin to end the replica; :meth:`run` returns when it is gone. Later calls can only hasten that."""
        if await self._termination.request(self._now() + grace):
            self._status.drain()
            self._noticed.set()

    async def run(self) -> None:
        """Run it until it has been stopped and is gone. Cancelling leaves it as it is.

        Raises OSError if its remains cannot be removed. Another call tries again.
        """
        if self._fault:  # not before, so that control observes a change, which is an event
            self._status.warn(self._fault)
        if not self._termination.begun.is_set():
            await run_until(self._termination.begun, self._live())
            await self._termination.begun.wait()
        await self._terminator.end(self._supervisor)

    # Phases

    async def _live(self) -> None:
        """Run one supervisor after another. Returns when the replica will not be launched again."""
        while not self._status.is_final:
            try:
                if self._supervisor:
                    await self._watch(self._supervisor)
                elif self._launched_before and self._runs_once:
                    self._fail_unseen()
                    await self._terminator.clear()
                else:
                    await self._start()
            except CannotLaunch as fault:
                self._fail(fault)
            except Exception as error:
                await self._recover(error)
            await self._back_off()

    async def _recover(self, error: Exception) -> None:
        """Handle an error of the system: launch again later, or watch again a supervisor that runs."""
        if isinstance(error, ModelsUnreachable):
            log.warning("The models of %s could not be fetched: %s", self.order.id, error)
            self._set_back(f"the models could not be fetched: {error}", Reason.MODELS)
        elif self._supervisor:
            log.warning(
                "The supervisor of %s could not be watched: %s", self.order.id, explain(error), exc_info=error
            )
            await self._services.clock.sleep(self._services.settings.reread)
        else:
            log.warning(
                "The supervisor of %s could not be started: %s", self.order.id, explain(error), exc_info=error
            )
            self._set_back(f"its supervisor could not be started: {explain(error)}")

    async def _start(self) -> None:
        """Remove the remains of an earlier launch, prepare, launch and watch."""
        if not self._fresh:  # an earlier supervisor may have left processes and sockets
            await self._terminator.clear()
        self._fresh = False
        fork_server = self._fork_servers.ready(self.order)
        context = await prepare(
            self.order,
            self.claim,
            self._folder.path / "project",
            self._services,
            self._status.report,
            fork_server.context if fork_server else None,
        )
        permit = await self._services.starting.take(self._wait_for_turn)
        try:
            supervisor = await self._launcher.launch(context, self._launched)
            await self._launcher.note()
            await self._watch(supervisor, permit)
        finally:
            permit.release()

    def _wait_for_turn(self, before: int) -> None:
        self._status.report(Phase.PENDING, f"waiting to start ({before} before it)")

    def _launched(self, supervisor: SupervisorProcess) -> None:
        self._supervisor, self._launched_before = supervisor, True
        self._status.launch = replace(self._status.launch, pid=supervisor.pid)
        self._status.report(Phase.STARTING, "starting")

    async def _watch(self, supervisor: SupervisorProcess, permit: Permit | None = None) -> None:
        """Watch a supervisor that was not asked to stop, until it exits."""
        began = self._services.clock.monotonic()

        def release_permit() -> None:
            if permit and self._status.value.phase is not Phase.STARTING:
                permit.release()

        await self._watcher.watch(supervisor, release_permit)
        if self._services.clock.monotonic() - began > self._services.settings.settled:
            self._failures = 0
        await self._conclude(supervisor)

    async def _conclude(self, supervisor: SupervisorProcess) -> None:
        """Handle the exit of a supervisor. Its endpoints are withdrawn before anything else."""
        self._supervisor = None
        how = how_it_ended(supervisor.reap())
        if self._runs_once:
            await self._watcher.refresh(supervisor.pid)
            if not self._status.is_final:
                self._fail_unseen(how)
        elif not self._status.is_fatal:
            self._set_back(how)
        try:
            await asyncio.to_thread(kill_leftovers, supervisor.pid, self.order.id)
        except OSError as error:  # the next launch, or the end, tries again
            log.warning("What %s has left could not be ended: %s", self.order.id, error)
        if lines := await asyncio.to_thread(self._folder.last_errors):
            self._status.add_lines(lines)

    # Outcomes

    @property
    def _runs_once(self) -> bool:
        return self.order.workload.restart is RestartPolicy.NEVER

    def _set_back(self, message: str, reason: Reason = Reason.SUPERVISOR_DIED) -> None:
        """Report a failed launch. The replica is launched again after the back-off."""
        delay = self._services.settings.backoff.delay(self._failures)
        self._failures += 1
        before, retry_at = self._status.value, self._now() + delay
        self._status.launch = replace(self._status.launch, restarts=before.restarts + 1)
        self._status.report(Phase.BACKOFF, message, reason, before.last_lines, retry_at)

    async def _back_off(self) -> None:
        if (retry_at := self._status.value.retry_at) is not None:
            await self._services.clock.sleep(retry_at - self._now())

    def _fail(self, fault: CannotLaunch) -> None:
        log.warning("%s cannot start: %s", self.order.id, fault)
        self._services.placement.release(self.order.id)
        self._status.report(Phase.FAILED, str(fault), fault.reason, fault.lines)

    def _fail_unseen(self, how: str = "its supervisor died") -> None:
        """Fail a replica that must not run again, because it may have done its work or a part of it."""
        self._services.placement.release(self.order.id)
        message = f"{how} before it reported how the replica ended"
        if self._fault:
            message = f"{how}, and it cannot be started again: {self._fault}"
        self._status.report(Phase.FAILED, message, Reason.SUPERVISOR_DIED)

    def _now(self) -> float:
        return self._services.clock.now().timestamp()


def how_it_ended(code: int | None) -> str:
    """Return a clause about a supervisor's exit. ``code``: negative for a signal, None if unknown."""
    if code is None:
        return "its supervisor died"
    if code >= 0:
        return f"its supervisor exited with code {code}"
    try:
        return f"its supervisor was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"its supervisor was killed by signal {-code}"
