"""Readiness of a worker: its slots can run the handler."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import dataclass

from gyrus.contract.system_limits import OUT_OF_PROCESSES, all_files_in_use
from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.threads import Threads

PATIENCE = 2.0
"""Seconds for which requests past their timeout may hold all slots.

Most of them end soon after it, and the requests behind them are better off waiting. With one probe per
second, a stuck replica is still reported within 5 s.
"""


@dataclass(frozen=True, slots=True)
class Unready:
    reason: str
    """One CamelCase word, stable."""
    message: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness check. It runs on the event loop, so that a blocked loop gives no answer at all."""

    admission: Admission
    threads: Threads

    def fault(self) -> Unready | None:
        """Return the reason why the worker is not ready. Returns None if it is."""
        if self.admission.draining:
            return Unready("Draining", "the replica is stopping")
        if dead := self.threads.dead:
            return Unready("ThreadDied", f"{dead} of the threads that run the handler died")
        if limit := exhausted_files():
            return Unready("NoFileDescriptor", all_files_in_use(limit))
        if self.threads.none_can_start:
            return Unready("NoThread", f"no thread can be started for the handler: {OUT_OF_PROCESSES}")
        if self.admission.stuck_for(PATIENCE):
            message = f"no free slot: {len(self.admission.overdue)} are held by requests past their timeout"
            return Unready("Stuck", message)
        return None


def exhausted_files() -> int | None:
    """Return the limit of file descriptors if none is left, so that no connection is accepted."""
    try:
        os.close(os.dup(1))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None
