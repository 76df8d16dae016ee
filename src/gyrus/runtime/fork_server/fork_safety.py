"""Detection of state that does not survive a fork: threads, children, an initialised GPU. Linux."""

from __future__ import annotations

import os
import sys
import threading

from gyrus.runtime.supervisor.processtable import family

_GPU = "/dev/nvidia"
_EVENT_POLL = "[eventpoll]"


def unsafe_to_fork() -> str | None:
    """Return the reason why this process must not be forked, as a clause. Returns None if there is none."""
    if names := _threads():
        return f"started {_count(len(names), 'thread')}: {', '.join(names)}"
    if children := _children():
        return f"started {_count(len(children), 'process', 'processes')}: {', '.join(children)}"
    if _has_event_loop():
        return "opened an event loop"
    return "initialised CUDA" if _has_gpu() else None


def has_threads() -> bool:
    """Return True if the process has threads other than this one."""
    return len(os.listdir("/proc/self/task")) > 1


def _threads() -> list[str]:
    """Return the names of all threads but this one: Python's name if there is one, else the kernel's."""
    ours = {thread.native_id: thread.name for thread in threading.enumerate()}
    tasks = (int(task) for task in os.listdir("/proc/self/task"))
    return [ours.get(task) or _name(task) for task in sorted(tasks) if task != threading.get_native_id()]


def _children() -> list[str]:
    return [_name(pid) for pid in family(os.getpid())[1:]]


def _has_event_loop() -> bool:
    """Return True if a file of epoll is open: forks would share it, and take each other's events."""
    return any(target.endswith(_EVENT_POLL) for target in _open_files())


def _has_gpu() -> bool:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        return True
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return False  # no GPU is visible: the process may have searched for one, but uses none
    return any(target.startswith(_GPU) for target in _open_files())


def _open_files() -> list[str]:
    found: list[str] = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:  # the descriptor of the listing itself, closed by now
            continue
    return found


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read().strip()
    except OSError:
        return str(pid)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
