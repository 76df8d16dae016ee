"""The process of a fork server: its folder, launching it, recognising it, forking a replica, ending it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from gyrus.backends.local.folder import read_document, remove_tree, write_document
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
"""The module and its name in earlier versions, whose processes are ended after an upgrade."""
PATIENCE = 5.0
"""Seconds that a fork server may take to answer an order."""


ENDING = 5.0
"""Seconds to wait for a killed process to vanish."""


class ForkFailed(Exception):
    """An order that did not become a replica. The message is the reason, as a clause."""


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
        """Remove an earlier process's report, which is no longer valid, and write the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / STATUS_FILE).unlink(missing_ok=True)
        write_document(self.config_file, config)

    def find(self, config: ForkServerConfig) -> ForkServerProcess | None:
        """Return the process that has this configuration, and end all others. Reads the process table."""
        status = self.status() if self.config() == config else None
        wanted = [process for process in self.processes() if status and process.pid == status.pid]
        for process in self.processes():
            if process not in wanted:
                process.end()
        return next(iter(wanted), None)

    def clear(self) -> None:
        """End all processes of this folder, then remove it. Reads the process table."""
        for process in self.processes():
            process.end()
        if config := self.config():
            Path(config.socket).unlink(missing_ok=True)
        remove_tree(self.path)

    def processes(self) -> list[ForkServerProcess]:
        """Return the processes of this folder: fork servers, and forks that are about to become replicas."""
        every = (ForkServerProcess(pid, self) for pid in psutil.pids())
        return [process for process in every if process.known]


@dataclass(frozen=True, slots=True)
class ForkServerProcess:
    """A fork server's process that runs, or has run. It leads the group of the processes that it started."""

    pid: int
    folder: ForkServerFolder

    @classmethod
    def launch(cls, python: str, folder: ForkServerFolder) -> ForkServerProcess:
        """Start a process in its own session, so that it outlives the operator. Raises OSError."""
        with (folder.path / OUTPUT_FILE).open("wb") as output:
            child = subprocess.Popen(
                (python, "-I", "-m", MODULE, str(folder.config_file)),
                cwd=folder.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        # It may outlive us, so Popen must neither wait for it nor warn that it runs. ``reap`` waits for it.
        child.returncode = 0
        return cls(child.pid, folder)

    @property
    def alive(self) -> bool:
        """True if the pid is still this fork server's: the system reuses pids, but not command lines."""
        words = self._words()
        # While a program is being replaced by another (exec), it has no command line for some microseconds.
        return words is not None and (not words or self._serves(words))

    @property
    def known(self) -> bool:
        """True if the command line is this fork server's. Unlike :attr:`alive`, False during an exec."""
        return self._serves(self._words() or [])

    def _words(self) -> list[str] | None:
        try:
            return psutil.Process(self.pid).cmdline()
        except psutil.Error:
            return None

    def _serves(self, words: list[str]) -> bool:
        return str(self.folder.config_file) in words and any(word.startswith(MODULES) for word in words)

    def end(self) -> None:
        """Kill the process and all that it started, except its forks, which lead their own groups. Blocks."""
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
        """Return a new replica's supervisor, which starts after ``known`` was called. Raises ForkFailed."""
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
            with suppress(OSError):  # it has died already: the watch of its exit notices that
                connection.send(GO)
            return supervisor


async def _order(connection: socket.socket, address: str, config_file: Path) -> ForkReply:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, address)
    await loop.sock_sendall(connection, os.fsencode(config_file))
    answer = await loop.sock_recv(connection, LONGEST_WORD)
    if not answer:
        raise ConnectionResetError("it closed the connection")
    return msgspec.json.decode(answer, type=ForkReply)
