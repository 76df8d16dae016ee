"""One parked process: its folder, launching it, knowing it again, ordering a replica of it, ending it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from gyrus.backends.local.folder import read_document, write_document
from gyrus.backends.local.supervision import Supervisor
from gyrus.contract.parking import GO, LONGEST_WORD, OUTPUT_FILE, Born, Parked, ParkingConfig
from gyrus.contract.replica import CONFIG_FILE, STATUS_FILE

MODULE = "gyrus.runtime.parking"
PATIENCE = 5.0
"""Seconds that a fork may take to answer its order."""


ENDING = 5.0
"""Seconds that a killed process may take to vanish before we go on without it."""


class NoFork(Exception):
    """No replica came of an order. The message says why, as a clause."""


@dataclass(frozen=True, slots=True)
class ParkedFolder:
    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG_FILE

    def config(self) -> ParkingConfig | None:
        return read_document(self.config_file, ParkingConfig)

    def status(self) -> Parked | None:
        return read_document(self.path / STATUS_FILE, Parked)

    def prepare(self, config: ParkingConfig) -> None:
        """What an earlier process said is void from now on."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / STATUS_FILE).unlink(missing_ok=True)
        write_document(self.config_file, config)

    def find(self, config: ParkingConfig) -> ParkedProcess | None:
        """That which runs, and was started with this; any other is ended. Reads the process table."""
        status = self.status() if self.config() == config else None
        wanted = [process for process in self.processes() if status and process.pid == status.pid]
        for process in self.processes():
            if process not in wanted:
                process.end()
        return next(iter(wanted), None)

    def clear(self) -> None:
        """Nothing is parked here any more. Reads the process table."""
        for process in self.processes():
            process.end()
        if config := self.config():
            Path(config.socket).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def processes(self) -> list[ParkedProcess]:
        """Those that are parked here, or about to be; or forks that are about to become replicas."""
        every = (ParkedProcess(pid, self) for pid in psutil.pids())
        return [process for process in every if process.known]


@dataclass(frozen=True, slots=True)
class ParkedProcess:
    """One that runs, or has run. It leads the process group of what it started while it loaded."""

    pid: int
    folder: ParkedFolder

    @classmethod
    def launch(cls, python: str, folder: ParkedFolder) -> ParkedProcess:
        """In a session of its own, so that it outlives us. Raises OSError."""
        with (folder.path / OUTPUT_FILE).open("wb") as output:
            child = subprocess.Popen(
                (python, "-I", "-m", MODULE, str(folder.config_file)),
                cwd=folder.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        child.returncode = 0  # it may outlive us, and if it does not, ``reap`` waits for it
        return cls(child.pid, folder)

    @property
    def alive(self) -> bool:
        """Whether this very process is parked there: pids are used again, command lines are not."""
        words = self._words()
        # While a program is being replaced by another (exec), it has no command line for some microseconds.
        return words is not None and (not words or self._parks(words))

    @property
    def known(self) -> bool:
        """The same of any process."""
        return self._parks(self._words() or [])

    def _words(self) -> list[str] | None:
        try:
            return psutil.Process(self.pid).cmdline()
        except psutil.Error:
            return None

    def _parks(self, words: list[str]) -> bool:
        return str(self.folder.config_file) in words and any(word.startswith(MODULE) for word in words)

    def end(self) -> None:
        """With all that it started, but for its forks, which lead groups of their own. Blocks."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(psutil.Error):
            psutil.Process(self.pid).wait(ENDING)

    def reap(self) -> None:
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    async def fork(self, address: str, config_file: Path, known: Callable[[Supervisor], None]) -> Supervisor:
        """The supervisor of a new replica. It begins when ``known`` has been told of it. Raises NoFork."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.setblocking(False)
            try:
                async with asyncio.timeout(PATIENCE):
                    born = await _order(line, address, config_file)
            except TimeoutError as error:
                raise NoFork(f"its parked process did not answer within {PATIENCE:g} s") from error
            except (OSError, msgspec.MsgspecError) as error:
                raise NoFork(f"its parked process could not be asked: {error}") from error
            if born.refused:
                raise NoFork(born.refused)
            supervisor = Supervisor(born.pid, config_file)
            known(supervisor)
            with suppress(OSError):  # it is dead already, as will be seen
                line.send(GO)
            return supervisor


async def _order(line: socket.socket, address: str, config_file: Path) -> Born:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(line, address)
    await loop.sock_sendall(line, os.fsencode(config_file))
    answer = await loop.sock_recv(line, LONGEST_WORD)
    if not answer:
        raise ConnectionResetError("it hung up")
    return msgspec.json.decode(answer, type=Born)
