"""Recognising the supervisor that an earlier operator has left in a replica's folder.

A command line proves nothing: any user can start a process that has it, and the system reuses pids. So a
supervisor is adopted only with a proof:

- It holds the lock in the replica's folder. The kernel names the holder.
- If no supervisor has ever taken the lock there, it is of an earlier version: our user's process with the
  command line of that replica's supervisor, whose pid and start time are those on record.

A process without a proof is neither adopted nor signalled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import psutil

from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.local.supervisor_process import SupervisorProcess, is_supervisor, lock_holder

log = logging.getLogger(__name__)

STARTING = 3.0
"""Seconds that a supervisor may take from its start until it holds the lock."""
LOOK_AGAIN = 0.05
"""Seconds between two looks at the lock of a supervisor that has just started."""
SAME_START = 5.0
"""Seconds by which the recorded start may differ: the time of day may have been set meanwhile."""


def identify(folder: ReplicaFolder, candidates: Sequence[int]) -> SupervisorProcess | None:
    """Return the replica's supervisor. Returns None if none runs. Raises OSError. Blocks.

    ``candidates``: pids of our user's processes with the command line of the replica's supervisor.
    """
    pid = _holder(folder, candidates)
    if pid is None:
        pid = next((candidate for candidate in candidates if _is_earlier(folder, candidate)), None)
    for other in candidates:
        if other != pid:
            log.warning(
                "Process %d looks like the supervisor of %s, but has no proof: it is left alone",
                other,
                folder.id,
            )
    return None if pid is None else SupervisorProcess(pid, folder.config_file)


def _holder(folder: ReplicaFolder, candidates: Sequence[int]) -> int | None:
    """Return the pid that holds the lock, after a wait if a candidate has just started."""
    given_up = time.monotonic() + STARTING
    while (pid := lock_holder(folder.config_file)) is None:
        if not any(map(_is_young, candidates)) or time.monotonic() > given_up:
            return None
        time.sleep(LOOK_AGAIN)
    return pid


def _is_young(pid: int) -> bool:
    try:
        return time.time() - psutil.Process(pid).create_time() < STARTING
    except psutil.Error:
        return False


def _is_earlier(folder: ReplicaFolder, pid: int) -> bool:
    """Return True if the process is a supervisor of an earlier version, which takes no lock."""
    if folder.lock_file.exists() or not is_supervisor(pid, folder.config_file):
        return False
    status, launch = folder.status(), folder.launch()
    if status and status.pid is not None:
        return status.pid == pid and _started_at(pid, status.pid_started)
    return launch is not None and launch.pid == pid


def _started_at(pid: int, recorded: float | None) -> bool:
    try:
        return recorded is None or abs(psutil.Process(pid).create_time() - recorded) < SAME_START
    except psutil.Error:
        return False
