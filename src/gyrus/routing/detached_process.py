"""A process that outlives the operator: start it in its own session, find it again, and wait for its end."""

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
"""Seconds between two checks, where the system cannot report a process's end."""

SAME_START = 0.05
"""Seconds by which two readings of one start time may differ."""


@dataclass(frozen=True, slots=True)
class DetachedProcess:
    """A process, identified by id and start time. The id alone may belong to another process later."""

    pid: int
    started: float
    """Seconds since the epoch, as psutil reports them."""

    @classmethod
    def find(cls, pid: int) -> DetachedProcess | None:
        """Return the process that has this id now. Returns None if none has it, or if it is a zombie."""
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
        """Wait until its last thread and its sockets are gone. It need not be a child of this process."""
        if hasattr(os, "pidfd_open"):
            if self._present:
                await _watched(self.pid)
        else:
            await _polled(self)

    @property
    def _present(self) -> bool:
        """True if it exists, even as a zombie. It is a zombie as soon as its first thread has ended."""
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
"""Program of an interpreter that exits at once: the command starts only when the interpreter has exited.

The command is then no child of this platform.
"""


def spawn(command: Sequence[str], output: Path) -> DetachedProcess:
    """Start a command that survives the operator and its terminal, in its own session and without a parent.

    Envoy asks the kernel to kill it with its parent (``PR_SET_PDEATHSIG`` in its hot restart). Blocks for
    about 30 ms.
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
    """Raise the limit of open files: each connection is a file, and shells allow 1,024."""
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
        # The descriptor stays readable, so the callback may run again before the reader is removed.
        loop.add_reader(handle, lambda: ended.done() or ended.set_result(None))
        await ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _polled(process: DetachedProcess) -> None:
    while process.alive:  # noqa: ASYNC110 (nothing would set an event)
        await asyncio.sleep(POLL)
