"""Services of the kernel: ties between processes, start times, out-of-memory kills.

They use ``prctl`` and ``/proc`` on Linux. Elsewhere a replica has no ties between its processes, and is found
and killed by its process group.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"

_libc = ctypes.CDLL(None, use_errno=True)


def lead_session() -> None:
    """Become the leader of a new session and process group, which all of the replica belongs to."""
    if os.getpgrp() != os.getpid():
        os.setsid()


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, so that none of them is lost."""
    if LINUX:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Let the kernel kill this new child when ``parent`` dies. Exits at once if it is already dead."""
    if LINUX:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call, which then has no effect.
    if os.getppid() != parent:
        os._exit(1)


def work_in_background() -> None:
    """Give other processes precedence while they are busy. Unlike a nice value, it can be undone."""
    _set_policy("SCHED_BATCH")


def work_in_foreground() -> None:
    """Return to the scheduling of a normal process."""
    _set_policy("SCHED_OTHER")


def started_at() -> float:
    """Return the start of this process in seconds since the epoch, computed as psutil does."""
    if LINUX:
        with open("/proc/self/stat", "rb") as stat:
            ticks = float(stat.read().rpartition(b")")[2].split()[19])
        return _boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    return _started_at_by_ps()


def out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed since boot because memory ran out."""
    try:
        with open("/proc/vmstat", "rb") as counters:
            _, _, rest = counters.read().partition(b"oom_kill ")
        return int(rest.split(b"\n", 1)[0])
    except (OSError, ValueError):
        return 0


def _set_policy(name: str) -> None:
    if LINUX:
        with suppress(OSError):  # a sandbox may not allow it
            os.sched_setscheduler(0, getattr(os, name), os.sched_param(0))


def _boot_time() -> float:
    with open("/proc/stat", "rb") as stat:
        return next(float(line.split()[1]) for line in stat if line.startswith(b"btime"))


def _started_at_by_ps() -> float:
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(os.getpid())],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        check=False,
    )
    try:
        return time.mktime(time.strptime(shown.stdout.strip()))
    except ValueError:
        return time.time()
