"""A replica's observed status: its supervisor's reports, and what the backend adds to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gyrus.backends.local.folder import LaunchRecord
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import FATAL, FINAL, Phase, Reason, ReplicaStatus


class ObservedStatus:
    """The status, and the launch that it belongs to. Calls ``changed`` after each change."""

    def __init__(
        self, order: ReplicaOrder, ordered_at: float, launch: LaunchRecord, changed: Callable[[], None]
    ) -> None:
        self.launch = launch
        """The last launch of a supervisor."""
        self._order = order
        self._ordered_at = ordered_at
        self._changed = changed
        self._draining = False
        self._warning = ""
        self._value = self._blank(Phase.PENDING, "accepted")

    @property
    def value(self) -> ReplicaStatus:
        return self._value

    @property
    def is_final(self) -> bool:
        """True if the replica will not be launched again."""
        return self._value.phase in FINAL

    @property
    def is_fatal(self) -> bool:
        """True if the user's program cannot run, and another launch would not help."""
        return self._value.phase is Phase.FAILED and self._value.reason in FATAL

    def report(
        self,
        phase: Phase,
        message: str,
        reason: Reason | None = None,
        last_lines: tuple[str, ...] = (),
        retry_at: float | None = None,
    ) -> None:
        """Report a phase in which no supervisor runs, or none has reported yet."""
        self._observe(replace(self._blank(phase, message, reason, last_lines), retry_at=retry_at))

    def take(self, status: ReplicaStatus) -> None:
        """Take over a supervisor's report, and add the restarts of the supervisors before it."""
        self._observe(replace(status, restarts=status.restarts + self.launch.restarts))

    def add_lines(self, lines: tuple[str, ...]) -> None:
        """Add the last lines that the supervisor itself printed."""
        self._observe(replace(self._value, last_lines=lines))

    def drain(self) -> None:
        """Show the replica as DRAINING from now on, whatever its supervisor reports."""
        self._draining = True
        self._observe(self._value)

    def warn(self, fault: str) -> None:
        """Show from now on that the replica could not be started again, as long as it is ready."""
        remedy = f"replace it with gyrus refresh {self._order.api}"
        self._warning = f"it cannot be started again: {fault}; {remedy}"
        self._observe(self._value)

    def _observe(self, status: ReplicaStatus) -> None:
        if self._warning and status.phase is Phase.READY:
            status = replace(status, reason=Reason.ORDER, message=self._warning)
        if self._draining:
            status = replace(status, phase=Phase.DRAINING, reason=None, endpoints=(), retry_at=None)
        if status != self._value:
            self._value = status
            self._changed()

    def _blank(
        self, phase: Phase, message: str, reason: Reason | None = None, last_lines: tuple[str, ...] = ()
    ) -> ReplicaStatus:
        return ReplicaStatus(
            id=self._order.id,
            api=self._order.api,
            revision=self._order.revision,
            phase=phase,
            reason=reason,
            message=message,
            last_lines=last_lines,
            restarts=self.launch.restarts,
            pid=self.launch.pid if phase is Phase.STARTING else None,
            started_at=self._ordered_at,
        )
