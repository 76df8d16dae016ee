"""Supervisor processes: launching one, recognising it, watching its exit, and removing what it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

import psutil

from gyrus.aio.process_lock import holder
from gyrus.contract.replica import LOCK_FILE, records_folder

MODULE = "gyrus.runtime.supervisor"
REPLICA_VARIABLE = "GYRUS_REPLICA"
POLL = 0.5
"""Seconds between two checks of a process whose exit the system cannot notify."""
LAST_RESORT = 5.0
"""Seconds to wait for killed processes to vanish."""
LOOK_AGAIN = 0.02
"""Seconds between two checks whether killed processes have vanished."""


class SupervisorProcess:
    """A supervisor that runs, or has run. It leads the process group of its replica.

    It is identified by its user, its start time, and the lock that it holds in the replica's folder. One that
    has just been started does not hold the lock yet, and those of earlier versions never do.
    """

    def __init__(self, pid: int, config_file: Path) -> None:
        """Identify the process that has this pid now."""
        self.pid = pid
        self._config_file = config_file
        self._started = _started(pid)

    @classmethod
    def launch(cls, python: str, config_file: Path, errors_file: Path) -> SupervisorProcess:
        """Start a supervisor in its own session, so that it outlives the operator. Raises OSError.

        Takes about a millisecond. The supervisor is isolated (``-I``) from the operator's environment
        variables and folder.
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
        # It may outlive us, so Popen must neither wait for it nor warn that it runs. ``reap`` waits for it.
        child.returncode = 0
        return cls(child.pid, config_file)

    @property
    def alive(self) -> bool:
        """True if it runs. True also if that cannot be found out now, since it ran before."""
        try:
            return self._runs()
        except OSError:
            return True

    def _runs(self) -> bool:
        """Return True if the process with this pid is still the same one. Raises OSError."""
        proven = lock_holder(self._config_file)
        if proven is not None:
            return proven == self.pid
        if self._started is None or _started(self.pid) != self._started:
            return False
        return is_supervisor(self.pid, self._config_file)

    def reap(self) -> int | None:
        """Return the exit code, negative for a signal. Returns None if it runs, or was not our child."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return None
        return os.waitstatus_to_exitcode(status) if pid else None

    def terminate(self) -> None:
        """Make the supervisor drain its processes and exit. Raises OSError if its identity is unknown."""
        if self._runs():
            _send(os.kill, self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the supervisor and all processes of its group. Raises OSError if its identity is unknown."""
        if self._runs():
            _send(os.killpg, self.pid, signal.SIGKILL)

    def watch(self, noticed: asyncio.Event) -> ExitWatch:
        return ExitWatch(self, noticed)


class Watched(Protocol):
    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool:
        """True if the process runs, and is still the same one."""
        ...


class ExitWatch:
    """A watch of a process that sets ``noticed`` when it exits."""

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
        """Wait for ``noticed``, at most ``longest`` seconds, and clear it."""
        # Without a pidfd, nothing sets the event at an exit: the caller polls ``exited``.
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
        if not self._process.alive:  # checked after the pidfd was opened, so that no exit is missed
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


def lock_holder(config_file: Path) -> int | None:
    """Return the pid of the supervisor that holds the lock beside this file. Returns None if none does.

    Raises OSError if that cannot be found out.
    """
    try:
        return holder(str(config_file.with_name(LOCK_FILE)))
    except FileNotFoundError:
        return None


def is_supervisor(pid: int, config_file: Path) -> bool:
    """Return True if the pid is a process of our user with that supervisor's command line. Raises OSError."""
    words = _words(pid)
    # While a program is being replaced by another (exec), its command line is empty for some microseconds.
    return words is not None and (not words or _supervised(words) == str(config_file))


def find_supervisors() -> Mapping[str, Sequence[int]]:
    """Return the pids of our user's supervisors, by their configuration's path. Reads the process table.

    These are candidates: a command line is no proof.
    """
    found: dict[str, list[int]] = {}
    for pid in psutil.pids():
        with suppress(OSError):
            if path := _supervised(_words(pid) or []):
                found.setdefault(path, []).append(pid)
    return found


def _words(pid: int) -> list[str] | None:
    """Return the command line of a process of our user. Returns None if there is none, or only a zombie."""
    try:
        process = psutil.Process(pid)
        return process.cmdline() if process.uids().real == os.getuid() else None
    except psutil.Error:
        return None


def _started(pid: int) -> float | None:
    """Return the start time on a clock that is never set. Returns None if the process is gone."""
    if sys.platform != "linux":
        with suppress(psutil.Error):
            return psutil.Process(pid).create_time()
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return float(stat.rpartition(b")")[2].split()[19])


def kill_leftovers(group: int, replica: str) -> None:
    """Kill the remains of a replica whose supervisor is dead: its process group, if that is still its own.

    Returns when nothing of it runs or holds memory any more, or after ``LAST_RESORT``. No new process gets
    the number of a group while a member of it is left. Afterwards any other group may get the number, so each
    round checks the owner.
    """
    given_up = time.monotonic() + LAST_RESORT
    while time.monotonic() < given_up:
        owners = {_owner(pid) for pid in _members(group)}
        if replica in owners:
            _send(os.killpg, group, signal.SIGKILL)
        elif None not in owners:
            break
        time.sleep(LOOK_AGAIN)


def remove_run_files(run: Path, replica: str) -> None:
    """Remove the sockets of a replica, and its records of started requests. Raises OSError."""
    api = replica.rsplit("-", 2)[0]
    records = Path(records_folder(str(run), api))
    for file in (*run.glob(f"{replica}.*"), *records.glob(f"{replica}.*")):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # while another replica of the API, or another API, has records
        records.rmdir()
        records.parent.rmdir()


def _supervised(words: list[str]) -> str | None:
    """Return the configuration's path in this command line. Returns None if it is not a supervisor's.

    A fork overwrites its former command line. The unused rest of it reads as empty words at the end.
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
    """Return the replica that this process belongs to, from a variable that supervisors set.

    Returns an empty string if there is none. Returns None if that is unknown: while a process replaces
    its program by another (exec), its environment is empty for some microseconds.
    """
    try:
        process = psutil.Process(pid)
        if process.uids().real != os.getuid():
            return ""
        environment = process.environ()
    except psutil.Error:
        return ""
    return environment.get(REPLICA_VARIABLE, "") if environment else None


def _pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # it has exited, or the kernel is too old


def _send(send: Callable[[int, int], None], target: int, number: signal.Signals) -> None:
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        pass
