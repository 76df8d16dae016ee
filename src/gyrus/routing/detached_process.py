"""A process that outlives us: start it in a session of its own, know it again, wait for its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL = 0.1
"""Seconds between looks, where the system cannot wake us at a process's end."""

SAME_START = 0.05
"""Seconds by which two readings of one start time may differ."""


@dataclass(frozen=True, slots=True)
class DetachedProcess:
    """A process id may be given to another process later; together with the start time it is unique."""

    pid: int
    started: float
    """Seconds since the epoch, as psutil tells it."""

    @classmethod
    def find(cls, pid: int) -> DetachedProcess | None:
        """The process that has this id now; None where there is none, or it is a zombie."""
        try:
            found = psutil.Process(pid)
            return None if found.status() == psutil.STATUS_ZOMBIE else cls(pid, found.create_time())
        except psutil.Error:
            return None

    @property
    def alive(self) -> bool:
        now = DetachedProcess.find(self.pid)
        return now is not None and abs(now.started - self.started) < SAME_START

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> None:
        """Wait for its end, whoever started it: until its last thread is gone, and its sockets with it."""
        if hasattr(os, "pidfd_open"):
            if self._present:
                await _watched(self.pid)
        else:
            await _polled(self)

    @property
    def _present(self) -> bool:
        """It is there, perhaps as a zombie: that, it is as soon as its first thread has ended."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < SAME_START
        except psutil.Error:
            return False


_DETACH = """
import os, signal, sys, time
parent = os.getpid()
child = os.fork()
if child:
    os.write(1, b"%d" % child)
    os._exit(0)
os.dup2(2, 1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
while os.getppid() == parent:
    time.sleep(0.001)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Run by an interpreter that ends at once: the command begins only when it is nobody's child."""


def spawn(command: Sequence[str], output: Path) -> DetachedProcess:
    """Start it in its own session and as nobody's child, so that neither our end nor our terminal's ends it.

    Envoy asks the system to be ended with its parent (``PR_SET_PDEATHSIG`` in its hot restart). Takes about
    30 ms, in which it blocks.
    """
    with output.open("wb") as out:
        launcher = [sys.executable, "-I", "-S", "-c", _DETACH, *command]
        done = subprocess.run(
            launcher,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=out,
            start_new_session=True,
            check=True,
        )
    pid = int(done.stdout)
    _allow_many_files(pid)
    return DetachedProcess.find(pid) or DetachedProcess(pid, 0.0)


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


async def _polled(process: DetachedProcess) -> None:
    while process.alive:  # noqa: ASYNC110 (nobody would set an event)
        await asyncio.sleep(POLL)
