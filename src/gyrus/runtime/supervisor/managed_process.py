"""The process of one role, its present probe, and its state."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gyrus.contract.replica import Phase, PoisonedRequest, Reason
from gyrus.runtime.supervisor import shortage
from gyrus.runtime.supervisor.child import CONTROL, Child, Pipe, StartChild, start
from gyrus.runtime.supervisor.connections import listening_addresses
from gyrus.runtime.supervisor.logfile import Log, LogEntry
from gyrus.runtime.supervisor.port import Port, pick_port
from gyrus.runtime.supervisor.port_owner import OwnedPort
from gyrus.runtime.supervisor.probe import Probe
from gyrus.runtime.supervisor.process_state import Failure, ProcessState
from gyrus.runtime.supervisor.processtable import family
from gyrus.runtime.supervisor.role import Role
from gyrus.runtime.supervisor.worker_message import LoopBlocked, WorkerStatus, understand
from gyrus.runtime.supervisor.working_folder import WorkingFolder

EAGER = 0.1
"""Seconds between probes of a process that is not ready yet."""
STEADY = 1.0
"""Seconds between probes of a process that is ready."""
SEARCH = 1.0
"""Seconds between two searches for other addresses on which a server listens."""
BLOCKED_EVERY = 60.0
"""Seconds between two log lines about a blocked event loop."""
MOST_POISONED = 10
"""Refused requests that the status names, at most."""
DRAINED_READS = 64
"""Chunks of a dead process's output that are read from a pipe, at most."""


class ManagedProcess:
    """Execute the actions that a process's state requires, and pass the observed events to the state."""

    def __init__(
        self,
        role: Role,
        folder: WorkingFolder,
        env: Mapping[str, str],
        log: Log,
        kept_port: Port | None = None,
        fork: StartChild | None = None,
    ) -> None:
        """Manage the process of a role.

        ``kept_port``: the port for every start; by default each start has another one. ``fork``: a faster way
        to start than a new program; it is used as long as it works.
        """
        self.role = role
        self.state = ProcessState(index=role.index, rules=role.rules)
        self.child: Child | None = None
        self.probe: Probe | None = None
        self.pipes: tuple[Pipe, ...] = ()
        """Pipes; open as long as a process may write to them. Descendants may outlive the process on stop."""
        self.poisoned: deque[PoisonedRequest] = deque(maxlen=MOST_POISONED)
        """The last requests that it refused because they had taken down two workers."""
        self._folder = folder
        self._env = env
        self._log = log
        self._kept_port = kept_port
        self._fork = fork
        self._port: Port | None = None
        self._owner: OwnedPort | None = None
        """The check of the user's server: whether it is that which serves the port."""
        self._probe_at = 0.0
        self._search_at = 0.0
        self._elsewhere = ""
        self._log_blocked_at = 0.0

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    @property
    def forks(self) -> bool:
        """True if the process starts by a fork."""
        return self._fork is not None

    # Actions

    def start(self, now: float) -> None:
        self._release()
        begin = self._fork or start
        try:
            port = self._take_port()
            self.child = begin(
                self.role,
                self.role.words(port),
                self._env if port is None else {**self._env, "PORT": str(port)},
                self._folder,
            )
        except OSError as error:
            self._refused(shortage.refusal(error), now)
        else:
            self.pipes = self.child.pipes
            self.state = self._started(self.child.pid, now)
            self._owner = self._port_owner()
            self._probe_at, self._search_at, self._elsewhere = now, now + SEARCH, ""
            self.write_log("info", f"{self.role.name} started (pid {self.child.pid})")

    def _take_port(self) -> int | None:
        """Return the port for ``$PORT``, given or free. Returns None if it has none. Raises OSError."""
        if self.role.announces or not self.role.serves:
            return None
        if self.role.address is None:
            self._port = self._kept_port or pick_port()
            return self._port.number
        return self.role.port

    def _started(self, pid: int, now: float) -> ProcessState:
        endpoint = self._port.endpoint if self._port else self.role.address
        probed_at_once = self.role.serves and not self.role.announces
        return self.state.started(pid, endpoint, now, listening=probed_at_once)

    def _port_owner(self) -> OwnedPort | None:
        """Return the check of the port. gyrus' own programs report only once they listen themselves."""
        endpoint = self.state.endpoint
        if endpoint is None or self.role.announces or endpoint.startswith("unix:"):
            return None
        return OwnedPort(endpoint, os.getpid())

    def kill(self, now: float) -> None:
        if self.child:
            self.child.send(signal.SIGKILL)
            self.state = self.state.killed(now)

    def ask(self, now: float) -> None:
        """Begin a probe if one is due."""
        if self.probe is None and self.state.listening and now >= self._probe_at and self.state.endpoint:
            self.probe = Probe(self.state.endpoint, self.role.ready_path, now)
            self._probe_at = now + (EAGER if self.state.phase is Phase.STARTING else STEADY)

    # Observations

    def read(self, pipe: Pipe, now: float) -> None:
        lines = pipe.read()
        self._heard(pipe.stream, lines, now)
        if pipe.stream == CONTROL and not pipe.open and not self.role.serves:
            self.state = self.state.runs(now)  # the program runs: it does not have the pipe

    def answered(self, now: float) -> None:
        """Pass the result of the probe to the state, if the probe is done."""
        if self.probe is None or not self.probe.done:
            return
        fault = self._explained(self.probe.fault, now)
        if fault is None and self._owner:
            if fault := self._owner.fault():
                self._port_taken(fault, now)
            else:
                fault = self._owner.hidden()
        self.probe = None
        before, self.state = self.state, self.state.probed(fault, now)
        if self.state.phase is not before.phase:
            self._probe_at = now + STEADY
            self._log_phase()

    def _port_taken(self, fault: str, now: float) -> None:
        """End a process that cannot get its port any more, so that its next start has another one."""
        if self.state.phase is Phase.STARTING:
            message = f"{fault}: it took the port first"
            self.state = self.state.must_end(Failure(Reason.NOT_LISTENING, message), now)

    def _explained(self, fault: str | None, now: float) -> str | None:
        """Add to a fault that all file descriptors are in use, or that the server listens elsewhere."""
        if fault is None or self.child is None:
            return fault
        members = family(self.child.pid)
        if used_up := next((found for pid in members if (found := shortage.open_files(pid))), ""):
            return fault if used_up in fault else f"{fault}; {used_up}"
        if self.role.announces or self.state.phase is not Phase.STARTING:
            return fault
        if now >= self._search_at:
            self._search_at = now + SEARCH
            addresses = listening_addresses(members)
            elsewhere = [address for address in addresses if address != self.state.endpoint]
            self._elsewhere = f"; it listens on {', '.join(elsewhere)} instead of $PORT" if elsewhere else ""
        return fault + self._elsewhere

    def died(self, code: int, now: float, *, out_of_memory: bool) -> None:
        """Handle the exit of the process, which has been reaped."""
        assert self.child is not None
        self._drain(now)
        lines = tuple(self.child.recent)
        self.child = None
        self._release()
        if self.state.phase is Phase.STARTING:
            self._fork = None  # a new program may start where the fork failed
        self.state = self.state.exited(code, lines, now, out_of_memory=out_of_memory)
        if self.state.phase in (Phase.GONE, Phase.SUCCEEDED):
            self.write_log("info", f"{self.role.name} ended (code {code})")
        else:
            self.close(now)
            self._log_failure(now)

    def close(self, now: float) -> None:
        """Read the rest of the pipes and close them. A process that still writes is ended by SIGPIPE."""
        self._drain(now)
        for pipe in self.pipes:
            self._heard(pipe.stream, pipe.close(), now)
        self.pipes = ()

    def stop(self, now: float) -> None:
        """Send SIGTERM to the process. Idempotent."""
        if self.state.phase in (Phase.DRAINING, Phase.GONE):
            return
        self.state = self.state.stopping(now)
        if self.probe:
            self.probe.close()
            self.probe = None
        if self.child:
            self.write_log("info", f"stopping {self.role.name}")
            self.child.send(signal.SIGTERM)

    def must_end(self, verdict: Failure, now: float) -> None:
        self.state = self.state.must_end(verdict, now)

    @property
    def wakes_at(self) -> Iterable[float]:
        if (moment := self.state.wakes_at) is not None:
            yield moment
        if self.probe:
            yield self.probe.wakes_at
        elif self.state.listening:
            yield self._probe_at

    # Log

    def write_log(self, level: str, message: str) -> None:
        """Write a message of the supervisor to the replica's log."""
        entry = LogEntry(message=message, time=time.time(), stream="gyrus", level=level)
        self._write([entry])

    def _heard(self, stream: str, lines: list[str], now: float) -> None:
        present = time.time()
        if stream == CONTROL:
            heard = [understand(line, present) for line in lines]
        else:
            heard = [LogEntry(message=line, time=present, stream=stream) for line in lines]
        self._write([entry for entry in heard if isinstance(entry, LogEntry)])
        for announcement in heard:
            if isinstance(announcement, WorkerStatus):
                self._announced(announcement, now)
            elif isinstance(announcement, PoisonedRequest):
                self._refused_poison(announcement)
            elif isinstance(announcement, LoopBlocked):
                self._loop_blocked(announcement.message, now)

    def _write(self, entries: list[LogEntry]) -> None:
        index, run = self.role.index, self.state.restarts
        self._log.write(replace(entry, process=index, run=run) for entry in entries)
        if self.child:
            for entry in entries:
                if entry.stream != "gyrus":
                    self.child.remember(entry.message)

    def _refused_poison(self, request: PoisonedRequest) -> None:
        self.poisoned.append(request)
        message = f"refused request {request.id}, because it took down two workers"
        entry = LogEntry(
            message=message, time=request.refused_at, stream="gyrus", level="error", request_id=request.id
        )
        self._write([entry])

    def _loop_blocked(self, message: str, now: float) -> None:
        """Record a blocked event loop, and log the first of many reports: each request may block it."""
        if message and now >= self._log_blocked_at:
            self._log_blocked_at = now + BLOCKED_EVERY
            self.write_log("warning", f"{self.role.name}: {message}")
        self.state = self.state.announced_blocked(message)

    def _announced(self, status: WorkerStatus, now: float) -> None:
        if status.phase is Phase.READY:
            self.state, self._probe_at = self.state.announced_ready(), now
        elif status.phase is Phase.FAILED:
            if status.lines:
                self.write_log("error", "\n".join(status.lines))
            verdict = Failure(status.reason or Reason.EXITED, status.message, status.lines)
            self.state = self.state.announced_failure(verdict, now)
        elif status.phase is Phase.STARTING:
            self.state = self.state.announced_progress(status.message)

    def _log_phase(self) -> None:
        if self.state.phase is Phase.READY:
            self.write_log("info", f"{self.role.name} is ready")
        else:
            self.write_log("warning", f"{self.role.name} is no longer ready: {self.state.progress}")

    def _log_failure(self, now: float) -> None:
        failure, retry_at = self.state.failure, self.state.retry_at
        if failure:
            then = f"; starting again in {retry_at - now:.1f} s" if retry_at else "; not starting again"
            self.write_log("error", f"{self.role.name} failed: {failure.reason}: {failure.message}{then}")

    # Ends

    def _refused(self, verdict: Failure, now: float) -> None:
        self._release()
        self.state = self.state.refused(verdict, now)
        self._log_failure(now)

    def _drain(self, now: float) -> None:
        """Read the output that is left in the pipes, without waiting: a descendant may hold them open."""
        for pipe in self.pipes:
            for _ in range(DRAINED_READS):
                self.read(pipe, now)
                if pipe.drained:
                    break

    def _release(self) -> None:
        if self.probe:
            self.probe.close()
            self.probe = None
        if self._port:
            if self._port is not self._kept_port:
                self._port.release()
            self._port = None
        if self.role.socket:
            try:
                os.unlink(self.role.socket)
            except FileNotFoundError:
                pass
