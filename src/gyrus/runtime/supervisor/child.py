"""One running process, and the pipes that it writes to."""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from gyrus.contract.replica import Phase, Reason
from gyrus.contract.system_limits import explain
from gyrus.runtime.supervisor import kernel
from gyrus.runtime.supervisor.lines import LineCutter
from gyrus.runtime.supervisor.process_state import LAST_LINES, Failure
from gyrus.runtime.supervisor.role import Role
from gyrus.runtime.supervisor.shortage import reason_of
from gyrus.runtime.supervisor.worker_message import status_line
from gyrus.runtime.supervisor.working_folder import CannotStart, WorkingFolder

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
"""Signals that supervisors and fork servers handle themselves."""

CONTROL_FD = "GYRUS_CONTROL_FD"
CONTROL = "control"
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
    """``stdout``, ``stderr`` or :data:`CONTROL`."""
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
            return self._rest()
        return self.cutter.feed(data)

    def close(self) -> list[str]:
        self.open = False
        os.close(self.fd)
        return self._rest()

    def _rest(self) -> list[str]:
        """Return the incomplete last line. Part of a message is none: its process was killed as it wrote."""
        rest = self.cutter.finish()
        return [] if self.stream == CONTROL else rest


@dataclass(slots=True, eq=False)
class Child:
    """A started process, until its exit."""

    pid: int
    pipes: tuple[Pipe, ...]
    recent: deque[str] = field(default_factory=lambda: deque[str](maxlen=LAST_LINES))
    """The last lines that it printed."""

    def remember(self, message: str) -> None:
        self.recent.extend(line[:LONGEST_LAST_LINE] for line in message.split("\n")[-LAST_LINES:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal. This is safe until the process is reaped: no other can have its pid before."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass


class StartChild(Protocol):
    """A way to start the process of a role."""

    def __call__(
        self, role: Role, command: Sequence[str], env: Mapping[str, str], folder: WorkingFolder
    ) -> Child:
        """Start the process. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class PipeEnds:
    """The new process's ends of the pipes, before it runs."""

    stdout: int
    stderr: int
    control: int

    def close(self) -> None:
        for fd in (self.stdout, self.stderr, self.control):
            os.close(fd)


def start(role: Role, command: Sequence[str], env: Mapping[str, str], folder: WorkingFolder) -> Child:
    """Start the process as a new program. Raises OSError.

    Until it runs the program, it reports on the control pipe, and so does a failure to run it.
    """

    def become(ends: PipeEnds) -> NoReturn:
        _keep_only(ends)
        with open(os.devnull, "rb", buffering=0) as null:
            os.dup2(null.fileno(), 0)
        if role.announces:
            os.set_inheritable(ends.control, True)
        _execute(command, {**env, CONTROL_FD: str(ends.control)} if role.announces else env, folder)

    return begin(become)


def begin(become: Callable[[PipeEnds], NoReturn]) -> Child:
    """Fork a process that becomes another by ``become``; it reports a failure of that. Raises OSError."""
    parent = os.getpid()
    pipes, ends = new_pipes()
    # Until the fork has its own signal handlers, a signal would run the supervisor's in it.
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _become(become, ends, parent, masked)
    except OSError:
        for pipe in pipes:
            pipe.close()
        raise
    finally:
        ends.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    return Child(pid, pipes)


def _become(
    become: Callable[[PipeEnds], NoReturn], ends: PipeEnds, parent: int, masked: Collection[int]
) -> NoReturn:
    try:
        kernel.die_with(parent)
        signal.set_wakeup_fd(-1)
        for number in (*SIGNALS, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        os.dup2(ends.stdout, 1)
        os.dup2(ends.stderr, 2)
        become(ends)
    except CannotStart as error:
        os.write(ends.control, status_line(Phase.FAILED, error.verdict))
    except BaseException:
        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(1)


def _keep_only(ends: PipeEnds) -> None:
    """Close the supervisor's files at the start of the program: native code may have opened some for it."""
    for fd in map(int, os.listdir("/dev/fd")):
        if fd > 2 and fd != ends.control:
            with suppress(OSError):
                os.set_inheritable(fd, False)


def _execute(command: Sequence[str], env: Mapping[str, str], folder: WorkingFolder) -> NoReturn:
    """Run the program in this process. Raises CannotStart."""
    folder.enter()
    try:
        os.execvpe(command[0], tuple(command), env)
    except (OSError, ValueError) as error:
        raise CannotStart(_why(error, command[0])) from error


def new_pipes() -> tuple[tuple[Pipe, ...], PipeEnds]:
    """Create the pipes; return the supervisor's ends and the new process's ends. Raises OSError."""
    made: dict[str, tuple[int, int]] = {}
    try:
        for name in (CONTROL, "stdout", "stderr"):
            made[name] = os.pipe()
    except OSError:
        for fd in (fd for ends in made.values() for fd in ends):
            os.close(fd)
        raise
    cutters = {CONTROL: LineCutter(LONGEST_CONTROL_LINE)}
    pipes = tuple(_pipe(made[name][0], name, cutters.get(name) or LineCutter()) for name in made)
    return pipes, PipeEnds(made["stdout"][1], made["stderr"][1], made[CONTROL][1])


def _pipe(fd: int, stream: str, cutter: LineCutter) -> Pipe:
    os.set_blocking(fd, False)
    return Pipe(fd, stream, cutter)


def _why(error: Exception, program: str) -> Failure:
    """Explain to the user why a program could not be run."""
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
    return Failure(reason_of(error), f"the command {program} could not be started: {explain(error)}")
