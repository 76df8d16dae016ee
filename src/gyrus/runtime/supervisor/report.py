"""The status of a replica, derived from the states of its processes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.contract.replica import Phase, ProcessStatus, Reason, ReplicaConfig, ReplicaStatus
from gyrus.runtime.supervisor.process_state import ProcessState

NEARNESS = (
    Phase.READY,
    Phase.UNREADY,
    Phase.STARTING,
    Phase.BACKOFF,
    Phase.SUCCEEDED,
    Phase.FAILED,
    Phase.DRAINING,
    Phase.GONE,
)
"""Phases from the nearest to ready to the farthest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The constant facts about a supervisor's process."""

    pid: int
    pid_started: float
    started_at: float
    """Seconds since the epoch."""
    epoch: float
    """Seconds since the epoch at monotonic time zero; added to monotonic seconds for the time of day."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """The builder of a replica's status."""

    config: ReplicaConfig
    origin: Origin

    def report(
        self, lives: Sequence[ProcessState], *, stopping: bool, ended: bool, ready_at: float | None
    ) -> ReplicaStatus:
        """Build the status.

        ``ready_at``: monotonic seconds when the replica first became ready. ``ended``: none of its processes
        runs any more.
        """
        statuses = tuple(state.status for state in lives)
        last = _last(lives)
        decisive = last or self._decisive(statuses)
        phase = _phase(decisive, over=last is not None, stopping=stopping, ended=ended)
        silent = phase in (Phase.DRAINING, Phase.GONE)
        return ReplicaStatus(
            id=self.config.id,
            api=self.config.api,
            revision=self.config.revision,
            phase=phase,
            reason=None if silent else self._reason(statuses, decisive),
            message="" if silent else self._message(statuses, decisive),
            last_lines=() if silent else _last_lines(decisive),
            endpoints=self._endpoints(statuses) if phase is Phase.READY else (),
            restarts=sum(status.restarts for status in statuses),
            failures=decisive.failures,
            pid=None if ended else self.origin.pid,
            pid_started=None if ended else self.origin.pid_started,
            processes=statuses,
            started_at=self.origin.started_at,
            ready_at=self._wall(ready_at),
            retry_at=self._wall(_retry_at(lives)) if phase is Phase.BACKOFF else None,
            exit_code=last.exit_code if last and ended else None,
        )

    def _decisive(self, statuses: Sequence[ProcessStatus]) -> ProcessStatus:
        """Return the process nearest to ready; with a queue proxy, the farthest, since both are required."""
        choose = max if self.config.queue_proxy else min
        return choose(statuses, key=lambda status: (NEARNESS.index(status.phase), status.failures))

    def _endpoints(self, statuses: Sequence[ProcessStatus]) -> tuple[str, ...]:
        gates = statuses[-1:] if self.config.queue_proxy else statuses
        return tuple(s.endpoint for s in gates if s.phase is Phase.READY and s.endpoint is not None)

    def _reason(self, statuses: Sequence[ProcessStatus], decisive: ProcessStatus) -> Reason | None:
        """Return the decisive process's reason; in a ready replica, that of any ready process."""
        if decisive.phase is not Phase.READY:
            return decisive.reason
        return next((s.reason for s in statuses if s.phase is Phase.READY and s.reason), None)

    def _message(self, statuses: Sequence[ProcessStatus], decisive: ProcessStatus) -> str:
        if decisive.phase is not Phase.READY or len(statuses) == 1:
            return decisive.message
        lacking = [status for status in statuses if status.phase is not Phase.READY]
        if not lacking:
            troubled = next((status for status in statuses if status.message), None)
            return f"process {troubled.index}: {troubled.message}" if troubled else ""
        worst = max(lacking, key=lambda status: NEARNESS.index(status.phase))
        ready = len(statuses) - len(lacking)
        trouble = worst.message or worst.phase
        return f"{ready} of {len(statuses)} processes are ready; process {worst.index}: {trouble}"

    def _wall(self, monotonic: float | None) -> float | None:
        return None if monotonic is None else round(self.origin.epoch + monotonic, 3)


def _phase(decisive: ProcessStatus, *, over: bool, stopping: bool, ended: bool) -> Phase:
    if ended:
        return decisive.phase if over else Phase.GONE
    return Phase.DRAINING if stopping or over else decisive.phase


def _last(lives: Sequence[ProcessState]) -> ProcessStatus | None:
    """Return the process that ended a replica which runs once: one with a fault before others."""
    over = [state.status for state in lives if state.is_over]
    return min(over, key=lambda status: (status.phase is Phase.SUCCEEDED, status.index), default=None)


def _last_lines(status: ProcessStatus) -> tuple[str, ...]:
    """Return the lines of the last failure while it keeps the process from being ready."""
    return status.last_lines if status.reason is not None and status.phase is not Phase.UNREADY else ()


def _retry_at(lives: Sequence[ProcessState]) -> float | None:
    return min((state.retry_at for state in lives if state.retry_at is not None), default=None)
