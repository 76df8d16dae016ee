"""The state of one process, as a value: each event makes a new state. Pure.

Times are monotonic seconds; the current time is the argument ``now``.

::

    STARTING ──probe──► READY ◄──probe──► UNREADY          any of them ──stopping──► DRAINING ──exit──► GONE
        ▲                 │                  │
        │               exit             patience, exit
        └──retry_at── BACKOFF ◄─────────────┘              a fatal reason ──► FAILED

    With RestartPolicy.NEVER an exit makes it SUCCEEDED (code 0) or FAILED.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from enum import Enum

from gyrus.aio.backoff import Backoff
from gyrus.contract.replica import FATAL, FINAL, Phase, ProcessStatus, Reason, RestartPolicy

BACKOFF = Backoff(0.5, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRules:
    """The rules of a process's start and restarts. Times are seconds."""

    start_timeout: float = 600.0
    late: Reason = Reason.START_TIMEOUT
    """Reason of the failure of a process that is not ready in time."""
    late_message: str = "it was not ready"
    patience: float = 60.0
    """Seconds that a process may be unresponsive before it is killed; it may hold the GIL for a reason."""
    settled: float = 60.0
    """Seconds of readiness after which earlier failures are forgotten."""
    last_words: float = 5.0
    """Seconds that a process may still run after it has reported its failure."""
    backoff: Backoff = BACKOFF
    restart: RestartPolicy = RestartPolicy.ALWAYS


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a process ended or has to end."""

    reason: Reason
    message: str
    lines: tuple[str, ...] = ()
    """The traceback, if there is one."""


class Want(Enum):
    """The action that the process needs now."""

    NOTHING = "nothing"
    START = "start"
    KILL = "kill"


LAST_LINES = 30
KILL_AGAIN = 1.0
"""Seconds between two SIGKILLs."""
RUNNING = frozenset({Phase.STARTING, Phase.READY, Phase.UNREADY})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """The state of one process. Methods for events return the next state; the others only read."""

    index: int
    rules: ProcessRules
    phase: Phase = Phase.STARTING
    since: float = 0.0
    """Time when the phase began."""
    pid: int | None = None
    endpoint: str | None = None
    listening: bool = False
    """True if the process should be probed."""
    progress: str = ""
    """Current step of its start, or the result of the last probe."""
    restarts: int = 0
    failures: int = 0
    """Failures since it was last settled."""
    failure: Failure | None = None
    """The last failure."""
    verdict: Failure | None = None
    """Reason of its coming exit, if that is known before."""
    kill_at: float | None = None
    retry_at: float | None = None
    exit_code: int | None = None
    blocked: str = ""
    """The report that its event loop is blocked; empty if it runs."""
    started_before: bool = False
    """True if it was started at least once."""

    # Events

    def started(self, pid: int, endpoint: str | None, now: float, *, listening: bool) -> ProcessState:
        """Record the start. ``listening``: probe it from now on; it does not report when it listens."""
        return replace(
            self,
            phase=Phase.STARTING,
            since=now,
            pid=pid,
            endpoint=endpoint,
            listening=listening,
            progress="",
            blocked="",
            restarts=self.restarts + (1 if self.started_before else 0),
            verdict=None,
            kill_at=None,
            retry_at=None,
            started_before=True,
        )

    def runs(self, now: float) -> ProcessState:
        """Record that a process without an address runs its program: it is ready at once."""
        if self.phase is not Phase.STARTING or self.pid is None or self.verdict is not None:
            return self
        return replace(self, phase=Phase.READY, since=now)

    def refused(self, verdict: Failure, now: float) -> ProcessState:
        """Record that the process could not be started."""
        return self._failed(verdict, now) if self.phase is Phase.STARTING and self.pid is None else self

    def announced_progress(self, message: str) -> ProcessState:
        return replace(self, progress=message) if self.phase is Phase.STARTING else self

    def announced_ready(self) -> ProcessState:
        return replace(self, listening=True) if self.phase is Phase.STARTING and self.pid else self

    def announced_blocked(self, message: str) -> ProcessState:
        """Record that the process's event loop is blocked, or, with an empty message, that it runs again."""
        return replace(self, blocked=message) if self.phase in RUNNING else self

    def announced_failure(self, verdict: Failure, now: float) -> ProcessState:
        """Record the failure that the process itself reported; it should exit now."""
        if self.pid is None or self.verdict is not None:
            return self
        return replace(self, verdict=verdict, listening=False, kill_at=now + self.rules.last_words)

    def must_end(self, verdict: Failure, now: float) -> ProcessState:
        """Record that the process must be killed."""
        if self.pid is None:
            return self
        return replace(self, verdict=self.verdict or verdict, listening=False, kill_at=now)

    def killed(self, now: float) -> ProcessState:
        """Record that SIGKILL was sent; it is sent again if the process has not exited after a while."""
        return replace(self, kill_at=now + KILL_AGAIN) if self.kill_at is not None else self

    def probed(self, fault: str | None, now: float) -> ProcessState:
        """Record the result of a probe. ``fault``: the reason why it failed; None means ready."""
        if self.phase not in RUNNING or not self.listening:
            return self
        if self.phase is Phase.STARTING and fault is not None:
            return replace(self, progress=fault)
        phase = Phase.READY if fault is None else Phase.UNREADY
        since = self.since if phase is self.phase else now
        return replace(self, phase=phase, since=since, progress=fault or "")

    def exited(
        self, code: int, lines: tuple[str, ...], now: float, *, out_of_memory: bool = False
    ) -> ProcessState:
        """Record the exit of the process.

        ``lines``: the last lines that it printed. ``out_of_memory``: the kernel has just killed a process
        because memory ran out.
        """
        if self.pid is None:
            return self
        if self.phase is Phase.DRAINING:
            return replace(self, phase=Phase.GONE, since=now, pid=None, exit_code=code, kill_at=None)
        if self._runs_once and code == 0 and self.verdict is None:
            return replace(self, phase=Phase.SUCCEEDED, since=now, pid=None, listening=False, exit_code=code)
        verdict = self.verdict or verdict_of(code, out_of_memory=out_of_memory)
        complete = replace(verdict, lines=last_lines(lines, verdict.lines))
        return replace(self._failed(complete, now), exit_code=code)

    def passed(self, now: float) -> ProcessState:
        """Apply the rules for which time has passed: restart, deadline, forgetting of failures."""
        if self.phase is Phase.BACKOFF and self.retry_at is not None and now >= self.retry_at:
            return replace(self, phase=Phase.STARTING, since=now, retry_at=None)
        if self.kill_at is None and self._deadline is not None and now >= self._deadline:
            return self.must_end(self._overdue, now)
        if self._forgets_at is not None and now >= self._forgets_at:
            return replace(self, failures=0)
        return self

    def stopping(self, now: float) -> ProcessState:
        """Record that the replica stops."""
        if self.phase in (Phase.DRAINING, Phase.GONE) or self.is_over:
            return self
        phase = Phase.GONE if self.pid is None else Phase.DRAINING
        return replace(self, phase=phase, since=now, retry_at=None, kill_at=None, listening=False)

    # Consequences

    def wants(self, now: float) -> Want:
        """Return the action that the process needs now."""
        if self.phase is Phase.STARTING and self.pid is None:
            return Want.START
        if self.pid is not None and self.kill_at is not None and now >= self.kill_at:
            return Want.KILL
        return Want.NOTHING

    @property
    def is_over(self) -> bool:
        """True if it has ended by itself and must not run again."""
        return self._runs_once and self.phase in FINAL

    @property
    def _runs_once(self) -> bool:
        return self.rules.restart is RestartPolicy.NEVER

    @property
    def wakes_at(self) -> float | None:
        """Time of the next change without an event; None if there is none."""
        if self.kill_at is not None:
            return self.kill_at
        times = [t for t in (self.retry_at, self._deadline, self._forgets_at) if t is not None]
        return min(times, default=None)

    @property
    def status(self) -> ProcessStatus:
        return ProcessStatus(
            index=self.index,
            phase=self.phase,
            pid=self.pid,
            endpoint=self.endpoint if self.pid is not None else None,
            restarts=self.restarts,
            failures=self.failures,
            reason=self._reason,
            message=self._message,
            exit_code=self.exit_code,
            last_lines=self.failure.lines if self.failure else (),
        )

    @property
    def _reason(self) -> Reason | None:
        if self.verdict is not None:
            return self.verdict.reason
        if self.phase is Phase.UNREADY or (self.phase is Phase.READY and self.blocked):
            return Reason.UNRESPONSIVE
        hindered = self.failure is not None and self.phase in (Phase.STARTING, Phase.BACKOFF, Phase.FAILED)
        return self.failure.reason if hindered and self.failure else None

    @property
    def _message(self) -> str:
        if self.verdict is not None:
            return self.verdict.message
        if self.phase in (Phase.BACKOFF, Phase.FAILED) and self.failure:
            return self.failure.message
        if self.phase is Phase.STARTING and not self.progress and self.failure:
            return f"starting again after a failure: {self.failure.message}"
        return self._trouble if self.phase in RUNNING else ""

    @property
    def _trouble(self) -> str:
        """The result of the last probe, or the step of its start, and what blocks it."""
        return "; ".join(part for part in (self.progress, self.blocked) if part)

    @property
    def _deadline(self) -> float | None:
        """Time by which it must be ready; None if it is ready or does not run."""
        if self.pid is None:
            return None
        if self.phase is Phase.STARTING:
            return self.since + self.rules.start_timeout
        return self.since + self.rules.patience if self.phase is Phase.UNREADY else None

    @property
    def _overdue(self) -> Failure:
        if self.phase is Phase.UNREADY:
            message = f"it did not answer its readiness check for {self.rules.patience:g} s ({self._trouble})"
            return Failure(Reason.UNRESPONSIVE, message)
        found = f" ({self.progress})" if self.progress else ""
        message = f"{self.rules.late_message} within {self.rules.start_timeout:g} s of its start{found}"
        return Failure(self.rules.late, message)

    @property
    def _forgets_at(self) -> float | None:
        return self.since + self.rules.settled if self.phase is Phase.READY and self.failures else None

    def _failed(self, verdict: Failure, now: float) -> ProcessState:
        fatal = self._runs_once or verdict.reason in FATAL
        return replace(
            self,
            phase=Phase.FAILED if fatal else Phase.BACKOFF,
            since=now,
            pid=None,
            listening=False,
            progress="",
            failures=self.failures + 1,
            failure=verdict,
            verdict=None,
            kill_at=None,
            retry_at=None if fatal else now + self.rules.backoff.delay(self.failures),
        )


def verdict_of(code: int, *, out_of_memory: bool = False) -> Failure:
    """Derive the failure from an exit code alone. A negative code is the number of a signal."""
    if code >= 0:
        return Failure(Reason.EXITED, f"it exited with code {code}")
    if -code == signal.SIGKILL and out_of_memory:
        return Failure(
            Reason.OUT_OF_MEMORY, "it was killed by the kernel, because the machine ran out of memory"
        )
    return Failure(Reason.KILLED, f"it was killed by {_signal_name(-code)}")


def last_lines(printed: tuple[str, ...], reported: tuple[str, ...]) -> tuple[str, ...]:
    """Return the printed lines followed by the reported traceback, unless that was printed too."""
    both = printed if reported and printed[-len(reported) :] == reported else printed + reported
    return both[-LAST_LINES:]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
