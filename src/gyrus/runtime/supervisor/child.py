"""One running process, and the pipes that it writes to."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.contract.replica import Reason
from gyrus.contract.system_limits import explain
from gyrus.runtime.supervisor import kernel
from gyrus.runtime.supervisor.lines import LineCutter
from gyrus.runtime.supervisor.process_state import LAST_LINES, Failure
from gyrus.runtime.supervisor.role import Role

CONTROL_FD = "GYRUS_CONTROL_FD"
LONGEST_CONTROL_LINE = 2 * 1024 * 1024
"""Bytes. A worker's longest message fits even if all of it is escaped."""
CHUNK = 64 * 1024
"""Bytes that are read from a pipe at once. More output waits in the pipe, not in the supervisor's memory."""
LONGEST_LAST_LINE = 2000
"""Characters of a line that the status keeps, at most."""


@dataclass(slots=True, eq=False)
class Pipe:
    """The supervisor's end of a pipe."""

    fd: int
    stream: str
    """``stdout``, ``stderr`` or ``control``."""
    cutter: LineCutter
    open: bool = True
    """True while a process may still write to it."""
    drained: bool = False
    """True if the last read found no more data."""

    def read(self) -> list[str]:
        """Return the lines that have arrived, without waiting. After the end, ``open`` is False."""
        if not self.open:
            return []
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            self.drained = True
            return []
        self.drained = not data
        if not data:
            self.open = False
            return self.cutter.finish()
        return self.cutter.feed(data)

    def close(self) -> list[str]:
        self.open = False
        os.close(self.fd)
        return self.cutter.finish()


@dataclass(slots=True, eq=False)
class Child:
    """A started process, until its exit."""

    pid: int
    pipes: tuple[Pipe, ...]
    process: subprocess.Popen[bytes] | None = None
    """The process as ``subprocess`` started it; None if it is a fork."""
    recent: deque[str] = field(default_factory=lambda: deque[str](maxlen=LAST_LINES))
    """The last lines that it printed."""

    def remember(self, message: str) -> None:
        self.recent.extend(line[:LONGEST_LAST_LINE] for line in message.split("\n")[-LAST_LINES:])

    def reaped(self, code: int) -> None:
        """Record that the process has been reaped, so that ``subprocess`` does not wait for it again."""
        if self.process:
            self.process.returncode = code

    def send(self, number: signal.Signals) -> None:
        """Send a signal. This is safe until the process is reaped: no other can have its pid before."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass


class CannotStart(Exception):
    """The process could not be started. The message is for the user."""

    def __init__(self, verdict: Failure) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class StartChild(Protocol):
    """A way to start the process of a role."""

    def __call__(self, role: Role, command: Sequence[str], env: Mapping[str, str], folder: str) -> Child:
        """Start the process. Raises CannotStart, OSError."""
        ...


@dataclass(frozen=True, slots=True)
class PipeEnds:
    """The new process's ends of the pipes, before it runs."""

    stdout: int
    stderr: int
    control: int | None

    @property
    def all(self) -> tuple[int, ...]:
        return (
            (self.stdout, self.stderr) if self.control is None else (self.stdout, self.stderr, self.control)
        )

    def close(self) -> None:
        for fd in self.all:
            os.close(fd)


def start(role: Role, command: Sequence[str], env: Mapping[str, str], folder: str) -> Child:
    """Start the process as a new program. Raises CannotStart, OSError."""
    parent = os.getpid()
    pipes, ends = new_pipes(control=role.announces)
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**env, CONTROL_FD: str(ends.control)} if role.announces else env,
            stdin=subprocess.DEVNULL,
            stdout=ends.stdout,
            stderr=ends.stderr,
            pass_fds=() if ends.control is None else (ends.control,),
            preexec_fn=lambda: kernel.die_with(parent),
        )
    except (OSError, ValueError) as error:
        for pipe in pipes:
            pipe.close()
        raise CannotStart(_why(error, command[0], folder)) from error
    finally:
        ends.close()
    return Child(process.pid, pipes, process)


def new_pipes(*, control: bool) -> tuple[tuple[Pipe, ...], PipeEnds]:
    """Create the pipes; return the supervisor's ends and the new process's ends."""
    names = ("control", "stdout", "stderr") if control else ("stdout", "stderr")
    made = {name: os.pipe() for name in names}
    cutters = {"control": LineCutter(LONGEST_CONTROL_LINE)}
    pipes = tuple(_pipe(made[name][0], name, cutters.get(name) or LineCutter()) for name in names)
    return pipes, PipeEnds(made["stdout"][1], made["stderr"][1], made["control"][1] if control else None)


def _pipe(fd: int, stream: str, cutter: LineCutter) -> Pipe:
    os.set_blocking(fd, False)
    return Pipe(fd, stream, cutter)


def _why(error: Exception, program: str, folder: str) -> Failure:
    """Explain a failure to start to the user."""
    if not os.path.isdir(folder):
        return Failure(Reason.PACKAGE, f"the project folder {folder} is missing; deploy it again")
    if isinstance(error, FileNotFoundError) and os.path.isabs(program):
        message = f"{program} is missing; deploy again to rebuild the environment"
        return Failure(Reason.DEPENDENCIES, message)
    if isinstance(error, FileNotFoundError) and os.sep in program:
        message = f"the command {program} is not in the project; add the file or correct process.command"
        return Failure(Reason.PACKAGE, message)
    if isinstance(error, FileNotFoundError):
        remedy = "add its package to requirements.txt or correct process.command"
        message = f"the command {program} was not found; {remedy}"
        return Failure(Reason.DEPENDENCIES, message)
    if isinstance(error, PermissionError):
        message = f"the command {program} cannot be executed; make it executable (chmod +x {program})"
        return Failure(Reason.PACKAGE, message)
    return Failure(Reason.EXITED, f"the command {program} could not be started: {explain(error)}")
