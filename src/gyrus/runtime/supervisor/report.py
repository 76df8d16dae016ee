"""What the lives of a replica's processes amount to: its status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.contract.replica import Phase, ProcessStatus, ReplicaConfig, ReplicaStatus
from gyrus.runtime.supervisor.process_state import ProcessState

NEARNESS = (
    Phase.READY,
    Phase.UNREADY,
    Phase.STARTING,
    Phase.BACKOFF,
    Phase.FAILED,
    Phase.DRAINING,
    Phase.GONE,
)
"""From ready to never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What stays the same about a supervisor."""

    pid: int
    pid_started: float
    started_at: float
    """Seconds since the epoch."""
    epoch: float
    """What to add to monotonic seconds for seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Reporter:
    config: ReplicaConfig
    origin: Origin

    def report(
        self, lives: Sequence[ProcessState], *, stopping: bool, ended: bool, ready_at: float | None
    ) -> ReplicaStatus:
        """``ready_at``: when it first became ready, in monotonic seconds. ``ended``: nothing of it runs."""
        statuses = tuple(state.status for state in lives)
        decisive = self._decisive(statuses)
        phase = Phase.GONE if ended else Phase.DRAINING if stopping else decisive.phase
        return ReplicaStatus(
            id=self.config.id,
            api=self.config.api,
            revision=self.config.revision,
            phase=phase,
            reason=None if stopping else decisive.reason,
            message="" if stopping else self._message(statuses, decisive),
            last_lines=() if stopping else _last_lines(decisive),
            endpoints=self._endpoints(statuses) if phase is Phase.READY else (),
            restarts=sum(status.restarts for status in statuses),
            pid=self.origin.pid if phase is not Phase.GONE else None,
            pid_started=self.origin.pid_started if phase is not Phase.GONE else None,
            processes=statuses,
            started_at=self.origin.started_at,
            ready_at=self._wall(ready_at),
            retry_at=self._wall(_retry_at(lives)) if phase is Phase.BACKOFF else None,
        )

    def _decisive(self, statuses: Sequence[ProcessStatus]) -> ProcessStatus:
        """The process nearest to ready; behind a front, both are needed, so it is the farthest."""
        choose = max if self.config.queue_proxy else min
        return choose(statuses, key=lambda status: NEARNESS.index(status.phase))

    def _endpoints(self, statuses: Sequence[ProcessStatus]) -> tuple[str, ...]:
        gates = statuses[-1:] if self.config.queue_proxy else statuses
        return tuple(s.endpoint for s in gates if s.phase is Phase.READY and s.endpoint is not None)

    def _message(self, statuses: Sequence[ProcessStatus], decisive: ProcessStatus) -> str:
        if decisive.phase is not Phase.READY or len(statuses) == 1:
            return decisive.message
        lacking = [status for status in statuses if status.phase is not Phase.READY]
        if not lacking:
            return ""
        worst = max(lacking, key=lambda status: NEARNESS.index(status.phase))
        ready = len(statuses) - len(lacking)
        trouble = worst.message or worst.phase
        return f"{ready} of {len(statuses)} processes are ready; process {worst.index}: {trouble}"

    def _wall(self, monotonic: float | None) -> float | None:
        return None if monotonic is None else round(self.origin.epoch + monotonic, 3)


def _last_lines(status: ProcessStatus) -> tuple[str, ...]:
    """Those of its last failure, as long as it suffers from that."""
    return status.last_lines if status.reason is not None and status.phase is not Phase.UNREADY else ()


def _retry_at(lives: Sequence[ProcessState]) -> float | None:
    return min((state.retry_at for state in lives if state.retry_at is not None), default=None)
