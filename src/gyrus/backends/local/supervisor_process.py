"""Supervisor processes: launching one, knowing it again, seeing it die, ending what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

import psutil

MODULE = "gyrus.runtime.supervisor"
REPLICA_VARIABLE = "GYRUS_REPLICA"
POLL = 0.5
"""Seconds between two looks whether a process lives, where the system cannot tell us."""
LAST_RESORT = 5.0
"""Seconds that killed processes may take to vanish before we go on without them."""
LOOK_AGAIN = 0.02
"""Seconds between two looks whether killed processes have vanished."""


class SupervisorProcess:
    """A supervisor that runs, or has run. It leads the process group of its replica."""

    def __init__(self, pid: int, config_file: Path) -> None:
        self.pid = pid
        self._config_file = config_file

    @classmethod
    def launch(cls, python: str, config_file: Path, errors_file: Path) -> SupervisorProcess:
        """In a session of its own, so that it outlives us. Takes about a millisecond. Raises OSError.

        Isolated (``-I``): the variables and the folder that the operator was started with are none of its
        business.
        """
        with errors_file.open("wb") as errors:
            child = subprocess.Popen(
                (python, "-I", "-m", MODULE, str(config_file)),
                cwd=config_file.parent,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        child.returncode = 0  # it may outlive us, and if it does not, ``reap`` waits for it
        return cls(child.pid, config_file)

    @property
    def alive(self) -> bool:
        return is_supervisor(self.pid, self._config_file)

    def reap(self) -> int | None:
        """Its exit code, if it was our child and has exited; negative: a signal's number."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return None
        return os.waitstatus_to_exitcode(status) if pid else None

    def terminate(self) -> None:
        """It drains its processes and exits."""
        if self.alive:
            _send(os.kill, self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """It, and all of its process group."""
        if self.alive:
            _send(os.killpg, self.pid, signal.SIGKILL)

    def watch(self, noticed: asyncio.Event) -> ExitWatch:
        return ExitWatch(self, noticed)


class Watched(Protocol):
    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool:
        """It is still the process that is meant, and runs."""
        ...


class ExitWatch:
    """Knows whether a process has exited, and sets ``noticed`` when it does."""

    def __init__(self, process: Watched, noticed: asyncio.Event) -> None:
        self._process = process
        self._noticed = noticed
        self._fd: int | None = None
        self._exited = False

    @property
    def exited(self) -> bool:
        if self._fd is None and not self._exited:
            self._exited = not self._process.alive
        return self._exited

    async def wait(self, longest: float) -> None:
        """Until something was noticed, or it is time to look though nothing was."""
        try:
            async with asyncio.timeout(min(longest, POLL) if self._fd is None else longest):
                await self._noticed.wait()
        except TimeoutError:
            pass
        self._noticed.clear()

    def __enter__(self) -> ExitWatch:
        self._fd = _pidfd(self._process.pid)
        if self._fd is not None:
            asyncio.get_running_loop().add_reader(self._fd, self._note_exit)
        if not self._process.alive:  # asked after the watch began: no exit is missed
            self._note_exit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_watching()

    def _note_exit(self) -> None:
        self._exited = True
        self._stop_watching()
        self._noticed.set()

    def _stop_watching(self) -> None:
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None


def is_supervisor(pid: int, config_file: Path) -> bool:
    """Whether this very process supervises that replica: pids are used again, command lines are not."""
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    # While a program is being replaced by another (exec), its command line is empty for some microseconds.
    return not words or _supervised(words) == str(config_file)


def find_supervisors() -> Mapping[str, int]:
    """Pids of all supervisors that we may see, by their configuration's path. Reads the process table."""
    found: dict[str, int] = {}
    for process in psutil.process_iter():
        try:
            if path := _supervised(process.cmdline()):
                found[path] = process.pid
        except psutil.Error:
            continue
    return found


def kill_leftovers(group: int, replica: str) -> None:
    """End what is left of a replica whose supervisor is dead: its process group, if that is still its own.

    Returns when nothing of it runs or holds memory any more; without success, after the last resort. As long
    as anything is left of a group, no process gets its number; later the number may be anybody's.
    """
    given_up = time.monotonic() + LAST_RESORT
    while time.monotonic() < given_up:
        owners = {_owner(pid) for pid in _members(group)}
        if replica in owners:
            _send(os.killpg, group, signal.SIGKILL)
        elif None not in owners:
            break
        time.sleep(LOOK_AGAIN)


def remove_sockets(run: Path, replica: str) -> None:
    for socket in tuple(run.glob(f"{replica}.*")):
        socket.unlink(missing_ok=True)


def _supervised(words: list[str]) -> str | None:
    """The path of the configuration that a supervisor with this command line was given; None: it is none.

    Behind that of a fork is what it had no use for of its former command line: empty words.
    """
    while words and not words[-1]:
        words = words[:-1]
    return words[-1] if len(words) >= 3 and words[-2] == MODULE and words[-3] == "-m" else None


def _members(group: int) -> Iterator[int]:
    try:
        os.killpg(group, 0)
    except OSError:
        return
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group:
                yield pid
        except OSError:
            continue


def _owner(pid: int) -> str | None:
    """Return the replica that this process belongs to: its supervisor gives each of them a variable.

    Returns an empty string if there is none. Returns None if that is unknown: while a process replaces
    its program by another (exec), its environment is empty for some microseconds.
    """
    try:
        environment = psutil.Process(pid).environ()
    except psutil.Error:
        return ""
    return environment.get(REPLICA_VARIABLE, "") if environment else None


def _pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # it is gone, or the kernel is too old


def _send(send: Callable[[int, int], None], target: int, number: signal.Signals) -> None:
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        pass
