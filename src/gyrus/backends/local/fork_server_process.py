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
from gyrus.backends.local.supervisor_process import SupervisorProcess
from gyrus.contract.fork_server import (
    GO,
    LONGEST_WORD,
    OUTPUT_FILE,
    ForkReply,
    ForkServerConfig,
    ForkServerStatus,
)
from gyrus.contract.replica import CONFIG_FILE, STATUS_FILE

MODULE = "gyrus.runtime.fork_server"
MODULES = (MODULE, "gyrus.runtime.parking")
"""With the name of earlier versions, whose processes are ended after an upgrade."""
PATIENCE = 5.0
"""Seconds that a fork may take to answer its order."""


ENDING = 5.0
"""Seconds that a killed process may take to vanish before we go on without it."""


class ForkFailed(Exception):
    """No replica came of an order. The message says why, as a clause."""


@dataclass(frozen=True, slots=True)
class ForkServerFolder:
    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG_FILE

    def config(self) -> ForkServerConfig | None:
        return read_document(self.config_file, ForkServerConfig)

    def status(self) -> ForkServerStatus | None:
        return read_document(self.path / STATUS_FILE, ForkServerStatus)

    def prepare(self, config: ForkServerConfig) -> None:
        """What an earlier process said is void from now on."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / STATUS_FILE).unlink(missing_ok=True)
        write_document(self.config_file, config)

    def find(self, config: ForkServerConfig) -> ForkServerProcess | None:
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

    def processes(self) -> list[ForkServerProcess]:
        """Those that are parked here, or about to be; or forks that are about to become replicas."""
        every = (ForkServerProcess(pid, self) for pid in psutil.pids())
        return [process for process in every if process.known]


@dataclass(frozen=True, slots=True)
class ForkServerProcess:
    """One that runs, or has run. It leads the process group of what it started while it loaded."""

    pid: int
    folder: ForkServerFolder

    @classmethod
    def launch(cls, python: str, folder: ForkServerFolder) -> ForkServerProcess:
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
        return words is not None and (not words or self._serves(words))

    @property
    def known(self) -> bool:
        """The same of any process."""
        return self._serves(self._words() or [])

    def _words(self) -> list[str] | None:
        try:
            return psutil.Process(self.pid).cmdline()
        except psutil.Error:
            return None

    def _serves(self, words: list[str]) -> bool:
        return str(self.folder.config_file) in words and any(word.startswith(MODULES) for word in words)

    def end(self) -> None:
        """With all that it started, but for its forks, which lead groups of their own. Blocks."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(psutil.Error):
            psutil.Process(self.pid).wait(ENDING)

    def reap(self) -> None:
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    async def fork(
        self, address: str, config_file: Path, known: Callable[[SupervisorProcess], None]
    ) -> SupervisorProcess:
        """Return a new replica's supervisor, which begins after ``known`` was called. Raises ForkFailed."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.setblocking(False)
            try:
                async with asyncio.timeout(PATIENCE):
                    reply = await _order(connection, address, config_file)
            except TimeoutError as error:
                raise ForkFailed(f"its fork server did not answer within {PATIENCE:g} s") from error
            except (OSError, msgspec.MsgspecError) as error:
                raise ForkFailed(f"its fork server could not be reached: {error}") from error
            if reply.refused:
                raise ForkFailed(reply.refused)
            supervisor = SupervisorProcess(reply.pid, config_file)
            known(supervisor)
            with suppress(OSError):  # it is dead already, as will be seen
                connection.send(GO)
            return supervisor


async def _order(connection: socket.socket, address: str, config_file: Path) -> ForkReply:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, address)
    await loop.sock_sendall(connection, os.fsencode(config_file))
    answer = await loop.sock_recv(connection, LONGEST_WORD)
    if not answer:
        raise ConnectionResetError("it hung up")
    return msgspec.json.decode(answer, type=ForkReply)
