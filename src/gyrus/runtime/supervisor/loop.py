"""The supervisor's loop: wait, observe, decide, act, record. It ends only when no other process is left."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from gyrus.contract.replica import FINAL, Phase, ReplicaConfig, ReplicaStatus, StartKind
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.supervisor import kernel, processtable, workspace
from gyrus.runtime.supervisor.child import StartChild
from gyrus.runtime.supervisor.configfile import keep_configuration
from gyrus.runtime.supervisor.connections import has_callers
from gyrus.runtime.supervisor.environment import environment_of
from gyrus.runtime.supervisor.logfile import Log, new_log
from gyrus.runtime.supervisor.managed_process import ManagedProcess
from gyrus.runtime.supervisor.memory import MemoryWatch
from gyrus.runtime.supervisor.metrics_server import MetricsServer
from gyrus.runtime.supervisor.port import pick_port
from gyrus.runtime.supervisor.process_state import Want
from gyrus.runtime.supervisor.report import Origin, Reporter
from gyrus.runtime.supervisor.role import Role, roles_of
from gyrus.runtime.supervisor.status_server import StatusServer
from gyrus.runtime.supervisor.statusfile import StatusFile
from gyrus.runtime.supervisor.working_folder import WorkingFolder

LINGER = 5.0
"""Seconds that descendants of a handler may take to exit after it has exited.

Descendants of a ``process`` have the rest of the grace period, because its first process may be only a
wrapper.
"""
LAST_RESORT = 5.0
"""Seconds that killed processes may take to exit before the supervisor exits without waiting for them."""
LOOK_AGAIN = 0.1
"""Seconds between two searches for remaining processes, at the end."""
QUIET_SHARE = 2 / 3
"""Share of the grace period for which the user's server keeps serving connected clients before SIGTERM.

Many servers abort their requests at SIGTERM. The gateway closes each connection as soon as it is idle.
"""
OOM_SAMPLE = 1.0
"""Seconds between two samples of the kernel's number of out-of-memory kills."""

FORK_DIED = "a fork of the fork server died before it was ready"

UPSTREAM = "GYRUS_UPSTREAM"
"""Environment variable with the address of the server behind the queue proxy."""

OutputReader = Callable[[float], None]
"""Callback when there is something to read; its argument is the current monotonic time."""


@dataclass(slots=True)
class ShutdownState:
    """The progress of a shutdown. Times are monotonic seconds."""

    kill_at: float
    quiet_by: float
    """Time until which the supervisor waits for the connections to the user's server to close."""
    awaits_callers: bool = False
    strays_kill_at: float | None = None


class Supervisor:
    """The supervisor of one replica."""

    def __init__(self, config: ReplicaConfig, config_path: str, fork: StartChild | None = None) -> None:
        """Prepare the replica. ``fork``: a way to start workers as forks instead of as new programs."""
        folder = os.path.dirname(config_path)
        self._config = config
        self._config_path = config_path
        self._log = new_log(config, folder)
        self._processes = _processes(config, config_path, self._log, fork)
        self._warm = fork is not None
        self._status = StatusFile(folder, config.notify)
        self._memory = MemoryWatch(config.memory) if config.memory else None
        self._reporter = Reporter(config, _origin())
        self._status_server = _status_server(config)
        self._metrics_server = _metrics_server(config)
        self._stop_requested = False
        self._ending: ShutdownState | None = None
        self._done = False
        self._ready_at: float | None = None
        self._oom_kills = kernel.out_of_memory_kills()
        self._oom_sample_at = 0.0
        self._alarm, self._alarm_end = socket.socketpair()

    def run(self) -> None:
        """Run the replica. Returns when it has stopped or ended, and none of its processes runs any more."""
        self._listen_to_signals()
        try:
            while not self._done:
                now = time.monotonic()
                self._observe(now)
                self._decide(now)
                self._act(now)
                self._record(now)
                if not self._done:
                    self._wait(now)
        except BaseException:
            self._give_up()
            raise
        finally:
            self._log.close()
            if self._status_server:
                self._status_server.close()
            if self._metrics_server:
                self._metrics_server.close()

    def stop(self) -> None:
        """Begin to stop. Idempotent, and safe in a signal handler."""
        self._stop_requested = True

    # Wait

    def _listen_to_signals(self) -> None:
        """Install handlers for the signals that stop the replica or wake the loop."""
        # Empty handlers, not SIG_IGN: the replica's processes would inherit that.
        self._alarm.setblocking(False)
        self._alarm_end.setblocking(False)
        signal.set_wakeup_fd(self._alarm_end.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: self.stop())
        for number in (signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda number, frame: None)

    def _wait(self, now: float) -> None:
        """Wait until a pipe, a probe or a signal is ready, or until the next action is due."""
        poll = select.poll()
        readers: dict[int, OutputReader] = {}
        for fd, events, reader in self._sources():
            poll.register(fd, events)
            readers[fd] = reader
        milliseconds = max(0.0, min(self._moments(now)) - now) * 1000
        ready = poll.poll(milliseconds)
        now = time.monotonic()
        for fd, _ in ready:
            readers[fd](now)

    def _sources(self) -> Iterator[tuple[int, int, OutputReader]]:
        """Yield each descriptor to wait for, its events and its reader."""
        yield self._alarm.fileno(), select.POLLIN, self._silence
        if self._status_server:
            yield from self._status_server.sources()
        if self._metrics_server:
            yield from self._metrics_server.sources()
        for process in self._processes:
            for pipe in process.pipes:
                if pipe.open:
                    yield pipe.fd, select.POLLIN, partial(process.read, pipe)
            if process.probe and process.probe.retry_at is None:
                events = select.POLLOUT if process.probe.waits_to_write else select.POLLIN
                yield process.probe.socket.fileno(), events, process.probe.advance

    def _moments(self, now: float) -> Iterator[float]:
        yield now + 60.0
        for process in self._processes:
            yield from process.wakes_at
        if self._memory:
            yield self._memory.wakes_at
        yield self._status.wakes_at
        if self._status_server:
            yield from self._status_server.wakes_at()
        if self._metrics_server:
            yield from self._metrics_server.wakes_at()
        if self._ending:
            looks_again = self._ending.awaits_callers or self._ending.strays_kill_at is not None
            yield now + LOOK_AGAIN if looks_again else self._ending.kill_at

    def _silence(self, now: float) -> None:
        """Empty the wake-up pipe of signals. Every pass of the loop checks all that a signal may mean."""
        try:
            while self._alarm.recv(4096):
                pass
        except BlockingIOError:
            pass

    # Observe

    def _observe(self, now: float) -> None:
        # Reap before the new sample: a kill by the kernel is visible only against the older sample.
        self._reap(now)
        self._sample_oom_kills(now)
        for process in self._processes:
            if process.probe:
                process.probe.passed(now)
            process.answered(now)
        self._watch_memory(now)
        if self._status_server:
            self._status_server.expire(now)
        if self._metrics_server:
            self._metrics_server.expire(now)

    def _reap(self, now: float) -> None:
        """Reap every dead child, including adopted orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for process in self._processes:
                if process.pid == pid:
                    oom = kernel.out_of_memory_kills() > self._oom_kills
                    process.died(os.waitstatus_to_exitcode(status), now, out_of_memory=oom)
                    self._clear_away_strays()

    def _sample_oom_kills(self, now: float) -> None:
        if now >= self._oom_sample_at:
            self._oom_kills, self._oom_sample_at = kernel.out_of_memory_kills(), now + OOM_SAMPLE

    def _watch_memory(self, now: float) -> None:
        if self._memory is None:
            return
        roots = [process.pid for process in self._processes if process.pid is not None]
        offence = self._memory.look(roots, now)
        for process in self._processes:
            if offence and process.pid == offence.pid:
                process.must_end(offence.verdict, now)

    # Decide

    def _decide(self, now: float) -> None:
        if self._ending is None and (self._stop_requested or self._over):
            grace = self._config.grace
            self._ending = ShutdownState(kill_at=now + grace, quiet_by=now + grace * QUIET_SHARE)
        for process in self._processes:
            process.state = process.state.passed(now)
        if self._ready_at is None and self._phase is Phase.READY:
            self._ready_at = now

    @property
    def _over(self) -> bool:
        """A process ended that must not run again, and with it the replica."""
        return any(process.state.is_over for process in self._processes)

    @property
    def _phase(self) -> Phase:
        return self._reporter.report(
            [u.state for u in self._processes], ended=False, stopping=False, ready_at=None
        ).phase

    # Act

    def _act(self, now: float) -> None:
        for process in self._processes:
            match process.state.wants(now):
                case Want.START:
                    keep_configuration(self._config, self._config_path)
                    process.start(now)
                case Want.KILL:
                    process.kill(now)
                case Want.NOTHING:
                    process.ask(now)
                    process.answered(now)  # a probe may fail at once, as when nothing listens
        if self._ending:
            self._end(self._ending, now)

    def _end(self, ending: ShutdownState, now: float) -> None:
        """Stop the processes or kill them at the deadline, then the processes that they left, then finish."""
        ending.awaits_callers = now < ending.quiet_by and self._has_callers()
        if ending.awaits_callers:
            return
        self._stop_processes(now)
        if any(process.pid is not None for process in self._processes):
            if now >= ending.kill_at:
                for process in self._processes:
                    process.stop(now)
                    process.kill(now)
                ending.kill_at = now + 1.0
            return
        left = self._strays()
        if not left:
            self._finish(now)
        elif ending.strays_kill_at is None:
            linger = self._config.grace if self._config.process else LINGER
            ending.strays_kill_at = min(ending.kill_at, now + linger)
            _send(left, signal.SIGTERM)
        elif now >= ending.strays_kill_at:
            _send(left, signal.SIGKILL)
            if now >= ending.strays_kill_at + LAST_RESORT:
                self._finish(now)

    def _has_callers(self) -> bool:
        """Return True if clients are connected to the user's server, which may not drain by itself.

        The worker and the queue proxy drain by themselves.
        """
        if self._config.process is None or self._config.queue_proxy:
            return False
        state = self._processes[0].state
        if state.endpoint is None or state.phase not in (Phase.READY, Phase.UNREADY):
            return False
        return has_callers(state.endpoint)

    def _stop_processes(self, now: float) -> None:
        """Stop the queue proxy first, since it needs the server until it has drained; then the others."""
        proxies = [
            process
            for process in self._processes
            if process.role.queue_proxy and process.state.phase not in (Phase.GONE, *FINAL)
        ]
        for process in proxies or self._processes:
            process.stop(now)

    def _finish(self, now: float) -> None:
        for process in self._processes:
            process.close(now)
        if self._config.work_dir:
            with suppress(OSError):  # what is left is removed with the replica's folder
                workspace.remove(self._config.work_dir)
        self._done = True

    def _give_up(self) -> None:
        """Kill all processes after an error of the supervisor itself: none may run without supervision."""
        self._processes[0].write_log("error", f"the supervisor failed:\n{traceback.format_exc()}")
        everything = processtable.strays(processtable.read_table(), os.getpid(), ())
        _send(everything, signal.SIGKILL)

    def _strays(self) -> set[int]:
        known = [process.pid for process in self._processes if process.pid is not None]
        return processtable.strays(processtable.read_table(), os.getpid(), known)

    def _clear_away_strays(self) -> None:
        """Kill the descendants of a process that has died, so that they do not keep its port or memory."""
        if self._ending is None and not self._over:
            _send(self._strays(), signal.SIGKILL)

    # Record

    def _record(self, now: float) -> None:
        lives = [process.state for process in self._processes]
        status = self._reporter.report(
            lives, stopping=self._ending is not None, ended=self._done, ready_at=self._ready_at
        )
        poisoned = tuple(request for process in self._processes for request in process.poisoned)
        complete = replace(self._with_start(status), poisoned=poisoned)
        self._status.write(complete, now)
        if self._status_server:
            self._status_server.show(complete)

    def _with_start(self, status: ReplicaStatus) -> ReplicaStatus:
        if not self._warm:
            return replace(status, cold_because=self._config.cold_because)
        if all(process.forks for process in self._processes):
            return replace(status, start=StartKind.WARM)
        return replace(status, cold_because=FORK_DIED)


def _status_server(config: ReplicaConfig) -> StatusServer | None:
    """Return the server of the status, if the replica has one. Raises OSError."""
    if not config.status_address:
        return None
    private_calls = PrivateCalls(config.proof.encode()) if config.proof else None
    return StatusServer(config.status_address, private_calls)


def _metrics_server(config: ReplicaConfig) -> MetricsServer | None:
    if config.metrics_address is None:
        return None
    labels = {"api": config.api, "revision": str(config.revision)}
    return MetricsServer(config.metrics_address, config.listen, labels)


def _processes(
    config: ReplicaConfig, config_path: str, log: Log, fork: StartChild | None
) -> list[ManagedProcess]:
    env = environment_of(config, os.environ)
    if not config.queue_proxy:
        return [
            ManagedProcess(role, _folder(config, role), env, log, fork=fork)
            for role in roles_of(config, config_path)
        ]
    port = pick_port()
    env |= {UPSTREAM: port.endpoint}
    return [
        ManagedProcess(
            role, _folder(config, role), env, log, kept_port=port if role.behind_queue_proxy else None
        )
        for role in roles_of(config, config_path)
    ]


def _folder(config: ReplicaConfig, role: Role) -> WorkingFolder:
    """Return the folder of a process. The queue proxy is gyrus's own program and writes nothing."""
    if role.queue_proxy:
        return WorkingFolder(config.project, None)
    return WorkingFolder.of(config, role.index)


def _origin() -> Origin:
    started = kernel.started_at()
    epoch = time.time() - time.monotonic()
    return Origin(pid=os.getpid(), pid_started=started, started_at=time.time(), epoch=epoch)


def _send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
