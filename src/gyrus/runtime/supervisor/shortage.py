"""Reasons of failed starts, and the use of file descriptors: a process has run out of something."""

from __future__ import annotations

import os

from gyrus.contract.replica import Reason
from gyrus.contract.system_limits import all_files_in_use, exhausted, explain
from gyrus.runtime.supervisor.process_state import Failure


def reason_of(error: Exception) -> Reason:
    """Return the reason of a start that has failed with this error."""
    return Reason.EXHAUSTED if exhausted(error) else Reason.EXITED


def refusal(error: OSError) -> Failure:
    """Explain why no process could be created."""
    return Failure(reason_of(error), f"it could not be started: {explain(error)}")


def open_files(pid: int) -> str:
    """Return a clause if the process has no file descriptor left. Returns an empty string otherwise."""
    try:
        used, limit = len(os.listdir(f"/proc/{pid}/fd")), _limit(pid)
    except (OSError, ValueError):
        return ""
    if used < limit:
        return ""
    return all_files_in_use(limit)


def _limit(pid: int) -> int:
    with open(f"/proc/{pid}/limits", "rb") as limits:
        line = next(line for line in limits if line.startswith(b"Max open files"))
    return int(line.split()[3])
