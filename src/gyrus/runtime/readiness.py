"""Whether a slot can really run the handler."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.threads import Threads

PATIENCE = 2.0
"""Seconds for which requests over their timeout may hold all slots: most end soon after, and who waits behind
them is better off waiting. With a probe a second, a wedged replica is told within 5 s all the same."""


@dataclass(frozen=True, slots=True)
class Unready:
    reason: str
    """One CamelCase word, stable."""
    message: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """Asked on the event loop, so that one that is blocked does not answer at all."""

    admission: Admission
    threads: Threads

    def fault(self) -> Unready | None:
        """None: it is ready."""
        if self.admission.draining:
            return Unready("Draining", "the replica is stopping")
        if dead := self.threads.dead:
            return Unready("ThreadDied", f"{dead} of the threads that run the handler died")
        if self.admission.stuck_for(PATIENCE):
            told = (
                f"no slot can be had: {len(self.admission.overdue)} are taken by requests over their timeout"
            )
            return Unready("Stuck", told)
        return None
