"""What only the kernel can do or knows: ties between processes, start times, kills for want of memory.

On Linux by ``prctl`` and ``/proc``. Elsewhere a replica does without the ties: it is found and killed by its
process group.
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
    """Be the leader of a session and process group of its own, so that all of the replica is in it."""
    if os.getpgrp() != os.getpid():
        os.setsid()


def adopt_orphans() -> None:
    """Be the parent of descendants whose own parent dies: then none can be lost sight of."""
    if LINUX:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """In a new child: be killed when ``parent`` dies. Exits at once if it is dead already."""
    if LINUX:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def work_in_background() -> None:
    """Let others go first while they have something to do. Unlike a nice value, it can be taken back."""
    _set_policy("SCHED_BATCH")


def work_in_foreground() -> None:
    """As every process does."""
    _set_policy("SCHED_OTHER")


def started_at() -> float:
    """When this process started, in seconds since the epoch, as psutil tells it."""
    if LINUX:
        with open("/proc/self/stat", "rb") as stat:
            ticks = float(stat.read().rpartition(b")")[2].split()[19])
        return _boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    return _started_at_by_ps()


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it booted."""
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
