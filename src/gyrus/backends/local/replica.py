"""One replica from its order to its end: prepared, launched, watched, launched again, stopped, removed.

::

    PENDING → BUILDING → PENDING (its turn) → STARTING → what status.json says ─┐
       ▲          │                                            supervisor died  │
       │        FAILED: stays until it is stopped                               ▼
       └──────────────────────────── after the back-off ──────────────────── BACKOFF

    stop, at any point: DRAINING → gone
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
from gyrus.backends.local.configuration import LaunchContext, configure
from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder, StopRecord
from gyrus.backends.local.fork_server_process import ForkFailed
from gyrus.backends.local.fork_servers import ForkServers
from gyrus.backends.local.preparation import CannotLaunch, Services, prepare
from gyrus.backends.local.supervisor_process import SupervisorProcess, kill_leftovers, remove_sockets
from gyrus.backends.protocol import Observation, ReplicaOrder
from gyrus.contract.replica import FATAL, Phase, Reason, ReplicaStatus

log = logging.getLogger(__name__)

NEVER_LAUNCHED = LaunchRecord()

LAST_RESORT = 5.0
"""Seconds that killed processes may take to vanish before we go on without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an earlier operator left of a replica."""

    supervisor: SupervisorProcess | None = None
    """None: it does not run (any more)."""
    status: ReplicaStatus | None = None
    launch: LaunchRecord = NEVER_LAUNCHED
    stop: StopRecord | None = None
    ordered_at: float | None = None
    """Seconds since the epoch. None: just now."""
    holds: bool = False
    """It was given its share of the machine, and has not given it back."""


class LocalReplica:
    """Owns the replica's status as it is observed; tells its backend of every change."""

    def __init__(
        self,
        order: ReplicaOrder,
        folder: ReplicaFolder,
        services: Services,
        fork_servers: ForkServers,
        changed: Callable[[], None],
        found: Found | None = None,
    ) -> None:
        self.order = order
        self._folder = folder
        self._services = services
        self._fork_servers = fork_servers
        self._changed = changed
        self._noticed = asyncio.Event()
        """Something may have happened to the replica: look."""
        self._stopping = asyncio.Event()
        self._deadline = 0.0
        self._failures = 0
        self._fresh = found is None
        """There is nothing of an earlier life."""
        found = found or Found()
        self._ordered_at = services.clock.now().timestamp() if found.ordered_at is None else found.ordered_at
        self._supervisor = found.supervisor
        self._launch = found.launch
        self._status = self._first_status(found)
        if found.stop:
            self._stop_by(found.stop.deadline)

    @property
    def observation(self) -> Observation:
        return Observation(generation=self.order.generation, status=self._status)

    @property
    def claim(self) -> Claim:
        """What it needs of the machine."""
        order = self.order
        needs = needs_of(order.workload.compute)
        return Claim(replica=order.id, api=order.api, needs=needs, at=self._ordered_at)

    def notice(self) -> None:
        """Its status has changed."""
        self._noticed.set()

    async def stop(self, grace: float) -> None:
        """Begin to end it; :meth:`run` returns when it is gone. A later call may only hasten it."""
        deadline = self._now() + grace
        if not self._stopping.is_set():
            await self._write_down(StopRecord(deadline))
            self._stop_by(deadline)
        elif deadline < self._deadline:
            self._stop_by(deadline)

    async def _write_down(self, stop: StopRecord) -> None:
        """So that it is stopped even if our process dies now."""
        try:
            await asyncio.to_thread(self._folder.mark_stopped, stop)
        except OSError as error:
            log.warning("that %s is to stop could not be written down: %s", self.order.id, error)

    async def run(self) -> None:
        """Take care of it until it was stopped and is gone. Cancelled, it is left as it is."""
        await run_until(self._stopping, self._live())
        await self._stopping.wait()
        await self._end()

    # Life

    async def _live(self) -> None:
        """Ends where the replica failed for good."""
        while self._status.phase is not Phase.FAILED:
            try:
                if self._supervisor is None:
                    if not self._fresh:
                        await self._clear()
                    self._fresh = False
                    await self._start()
                else:
                    await self._watch(self._supervisor, None)
            except CannotLaunch as fault:
                self._fail(fault)
            except Exception as error:
                log.warning("%s could not be started", self.order.id, exc_info=error)
                self._set_back(f"its supervisor could not be started: {error}")
            await self._back_off()

    async def _start(self) -> None:
        """One life of its supervisor, from the preparation to the death."""
        empty = self._folder.path / "project"
        fork_server = self._fork_servers.ready(self.order)
        known = fork_server.context if fork_server else None
        context = await prepare(self.order, self.claim, empty, self._services, self._report, known)
        permit = await self._services.starting.take(self._wait_for_turn)
        try:
            supervisor = await self._launch_supervisor(context)
            await asyncio.to_thread(self._folder.note, self._launch)
            await self._watch(supervisor, permit)
        finally:
            permit.release()

    async def _launch_supervisor(self, context: LaunchContext) -> SupervisorProcess:
        """As a fork where there is something to fork, and else anew. Raises OSError."""
        because = self._fork_servers.because(self.order)
        if fork_server := self._fork_servers.ready(self.order):
            try:
                await self._write_configuration(context)
                return await fork_server.fork(self._folder.config_file, self._launched)
            except ForkFailed as error:
                log.warning("%s starts cold: %s", self.order.id, error)
                because = str(error)
        await self._write_configuration(context, because)
        supervisor = SupervisorProcess.launch(
            str(context.python), self._folder.config_file, self._folder.errors_file
        )
        self._launched(supervisor)
        return supervisor

    async def _write_configuration(self, context: LaunchContext, cold_because: str = "") -> None:
        config = configure(self.order, context, self._services.home)
        self._launch = replace(self._launch, pid=None, devices=context.devices)
        config = replace(config, cold_because=cold_because)
        await asyncio.to_thread(self._folder.prepare_launch, config, self._launch)

    def _launched(self, supervisor: SupervisorProcess) -> None:
        """Without a pause between the launch and our knowing of it."""
        self._supervisor = supervisor
        self._launch = replace(self._launch, pid=supervisor.pid)
        self._report(Phase.STARTING, "starting")

    def _wait_for_turn(self, before: int) -> None:
        self._report(Phase.PENDING, f"waiting for its turn to start ({before} before it)")

    async def _watch(self, supervisor: SupervisorProcess, permit: Permit | None) -> None:
        """Follow what the supervisor says, until it dies."""
        began = self._services.clock.monotonic()
        with supervisor.watch(self._noticed) as watch:
            while not watch.exited:
                await self._refresh()
                if permit and self._status.phase is not Phase.STARTING:
                    permit.release()
                await watch.wait(self._services.settings.reread)
        if self._services.clock.monotonic() - began > self._services.settings.settled:
            self._failures = 0
        await self._bury(supervisor)

    async def _bury(self, supervisor: SupervisorProcess) -> None:
        """It died, and nobody had told it to stop. What it served is withdrawn before anything else."""
        self._supervisor = None
        code = supervisor.reap()
        if not (self._status.phase is Phase.FAILED and self._status.reason in FATAL):
            self._set_back(_how_it_died(code))
        await asyncio.to_thread(kill_leftovers, supervisor.pid, self.order.id)
        if lines := await asyncio.to_thread(self._folder.last_errors):
            self._observe(replace(self._status, last_lines=lines))

    def _set_back(self, message: str) -> None:
        """It will be launched again, later."""
        delay = self._services.settings.backoff.delay(self._failures)
        self._failures += 1
        self._launch = replace(self._launch, restarts=self._status.restarts + 1)
        status = self._blank(Phase.BACKOFF, message, Reason.SUPERVISOR_DIED, self._status.last_lines)
        self._observe(replace(status, pid=None, retry_at=self._now() + delay))

    async def _back_off(self) -> None:
        if self._status.retry_at is not None:
            await self._services.clock.sleep(self._status.retry_at - self._now())

    async def _clear(self) -> None:
        """Nothing of an earlier life may be left."""
        if self._launch.pid is not None:
            await asyncio.to_thread(kill_leftovers, self._launch.pid, self.order.id)
            self._launch = replace(self._launch, pid=None)
        await asyncio.to_thread(remove_sockets, self._services.home.run, self.order.id)

    # End

    async def _end(self) -> None:
        if self._supervisor:
            await self._drain(self._supervisor)
            self._supervisor.reap()
        await self._clear()
        self._services.placement.release(self.order.id)
        try:
            await asyncio.to_thread(self._folder.remove)
        except OSError as error:
            log.warning("the folder of %s could not be removed: %s", self.order.id, error)

    async def _drain(self, supervisor: SupervisorProcess) -> None:
        supervisor.terminate()
        with supervisor.watch(self._noticed) as watch:
            while not watch.exited and self._now() < self._kill_at:
                await self._refresh()
                await watch.wait(min(self._kill_at - self._now(), self._services.settings.reread))
            if not watch.exited:
                log.warning("%s did not end in time and is killed", self.order.id)
                supervisor.kill()
            given_up = self._now() + LAST_RESORT
            while not watch.exited and self._now() < given_up:
                await watch.wait(0.5)

    @property
    def _kill_at(self) -> float:
        return self._deadline + self._services.settings.kill_margin

    def _stop_by(self, deadline: float) -> None:
        self._deadline = deadline
        self._stopping.set()
        self._noticed.set()
        self._observe(self._status)

    # What is observed

    async def _refresh(self) -> None:
        status = await asyncio.to_thread(self._folder.status)
        if status:
            self._observe(replace(status, restarts=status.restarts + self._launch.restarts))
            if status.phase is Phase.FAILED:  # of the user's processes, nothing runs or will
                self._services.placement.release(self.order.id)

    def _observe(self, status: ReplicaStatus) -> None:
        if self._stopping.is_set():
            status = replace(status, phase=Phase.DRAINING, reason=None, endpoints=(), retry_at=None)
        if status != self._status:
            self._status = status
            self._changed()

    def _report(self, phase: Phase, message: str, reason: Reason | None = None) -> None:
        self._observe(self._blank(phase, message, reason))

    def _fail(self, fault: CannotLaunch) -> None:
        log.warning("%s cannot start: %s", self.order.id, fault)
        self._services.placement.release(self.order.id)
        self._observe(self._blank(Phase.FAILED, str(fault), fault.reason, fault.lines))

    def _blank(
        self,
        phase: Phase,
        message: str,
        reason: Reason | None = None,
        last_lines: tuple[str, ...] = (),
    ) -> ReplicaStatus:
        """A status of which no supervisor knows."""
        return ReplicaStatus(
            id=self.order.id,
            api=self.order.api,
            revision=self.order.revision,
            phase=phase,
            reason=reason,
            message=message,
            last_lines=last_lines,
            restarts=self._launch.restarts,
            pid=self._launch.pid,
            started_at=self._ordered_at,
        )

    def _first_status(self, found: Found) -> ReplicaStatus:
        if found.supervisor and found.status:
            return replace(found.status, restarts=found.status.restarts + found.launch.restarts)
        if found.supervisor:
            return self._blank(Phase.STARTING, "starting")
        return self._blank(Phase.PENDING, "accepted")

    def _now(self) -> float:
        return self._services.clock.now().timestamp()


def _how_it_died(code: int | None) -> str:
    if code is None:
        return "its supervisor died"
    if code >= 0:
        return f"its supervisor exited with code {code}"
    try:
        return f"its supervisor was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"its supervisor was killed by signal {-code}"
