"""A process that outlives us: start it in a session of its own, know it again, wait for its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL = 0.1
"""Seconds between looks, where the system cannot wake us at a process's end."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process id may be given to another process later; together with the start time it is unique."""

    pid: int
    started: float
    """Seconds since the epoch, as psutil tells it."""

    @classmethod
    def find(cls, pid: int) -> Process | None:
        """The process that has this id now; None where there is none, or it is a zombie."""
        try:
            found = psutil.Process(pid)
            return None if found.status() == psutil.STATUS_ZOMBIE else cls(pid, found.create_time())
        except psutil.Error:
            return None

    @property
    def alive(self) -> bool:
        now = Process.find(self.pid)
        return now is not None and abs(now.started - self.started) < 0.05

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> None:
        """Wait for its end, whoever started it, and leave no zombie."""
        if self.alive:
            await (_watched(self.pid) if hasattr(os, "pidfd_open") else _polled(self))
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)


def spawn(command: Sequence[str], output: Path) -> Process:
    """Start it in its own session, so that neither our end nor our terminal's ends it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    pid = os.posix_spawn(
        command[0],
        list(command),
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE],
    )
    _allow_many_files(pid)
    return Process.find(pid) or Process(pid, 0.0)


def _allow_many_files(pid: int) -> None:
    """Each connection is a file, and shells allow 1,024."""
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError):
            _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))


async def _watched(pid: int) -> None:
    loop = asyncio.get_running_loop()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = loop.create_future()
    try:
        loop.add_reader(handle, lambda: ended.done() or ended.set_result(None))
        await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _polled(process: Process) -> None:
    while process.alive:  # noqa: ASYNC110 (nobody would set an event)
        await asyncio.sleep(POLL)
