"""The names of what a process has run out of: file descriptors, processes and threads, memory."""

from __future__ import annotations

import errno
import os

from gyrus.contract.replica import Reason
from gyrus.runtime.supervisor.process_state import Failure

_REMEDIES = {
    errno.EMFILE: "the supervisor's file descriptors are used up; raise the limit (ulimit -n) of gyrus up",
    errno.ENFILE: "the machine's file descriptors are used up; raise fs.file-max, or stop other programs",
    errno.EAGAIN: "the limit of processes and threads is reached; raise it (ulimit -u, pids.max of the "
    "cgroup, kernel.threads-max), or run fewer replicas",
    errno.ENOMEM: "the machine has no memory for another process; stop other programs or run fewer replicas",
}


def refusal(error: OSError) -> Failure:
    """Explain why no process could be created."""
    if remedy := _REMEDIES.get(error.errno or 0):
        return Failure(Reason.EXHAUSTED, f"it could not be started: {remedy}")
    return Failure(Reason.EXITED, f"it could not be started: {error}")


def open_files(pid: int) -> str:
    """Return a clause if the process has no file descriptor left. Returns an empty string otherwise."""
    try:
        used, limit = len(os.listdir(f"/proc/{pid}/fd")), _limit(pid)
    except (OSError, ValueError):
        return ""
    if used < limit:
        return ""
    return f"all its {limit} file descriptors are in use: close files and connections, or raise ulimit -n"


def _limit(pid: int) -> int:
    with open(f"/proc/{pid}/limits", "rb") as limits:
        line = next(line for line in limits if line.startswith(b"Max open files"))
    return int(line.split()[3])
