"""The replica's log, one JSON document per line: ``replica.log`` with its rotated predecessors, or stdout.

Writing never fails and never waits for space, because a full disk must not end a replica. Lines that could
not be written are counted, and the number is logged once there is space again.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from gyrus.contract.replica import LogArchiveAccess, ReplicaConfig
from gyrus.runtime.supervisor.log_sender import HttpsConnection, LogSender

LOG_FILE = "replica.log"
SIZE = 16 * 1024 * 1024
"""Bytes of one file, at most."""
OLD_FILES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """The content of one :class:`gyrus.contract.operator.LogLine`."""

    message: str
    time: float
    stream: str = "stdout"
    level: str | None = None
    request_id: str | None = None
    process: int = 0
    run: int = 0


class Log(ABC):
    """A log that loses lines rather than waiting, and notes how many."""

    def __init__(self, replica: str, copy: LogSender | None = None) -> None:
        """``copy``: gets each line, too."""
        self._replica = replica
        self._copy = copy
        self._lost = 0

    def write(self, entries: Iterable[LogEntry]) -> None:
        lines = [self._line(entry) for entry in entries]
        if not lines:
            return
        if self._copy:
            self._copy.offer(lines)
        notice = [self._line(_lost_entry(self._lost))] if self._lost else []
        if self._append(b"".join(notice + lines)):
            self._lost = 0
        else:
            self._lost += len(lines)

    def close(self) -> None:
        """Close the log. Nothing may be written to it any more."""
        self._end()
        if self._copy:
            self._copy.close()

    @abstractmethod
    def _end(self) -> None: ...

    @abstractmethod
    def _append(self, data: bytes) -> bool:
        """Append all of the data or nothing, since half a line would spoil the next one. Returns success."""

    def _line(self, entry: LogEntry) -> bytes:
        line: dict[str, object] = {"time": round(entry.time, 6), "replica": self._replica}
        line["message"] = entry.message
        if entry.stream != "stdout":
            line["stream"] = entry.stream
        if entry.level is not None:
            line["level"] = entry.level
        if entry.request_id is not None:
            line["request_id"] = entry.request_id
        if entry.process:
            line["process"] = entry.process
        if entry.run:
            line["run"] = entry.run
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace") + b"\n"


class LogFile(Log):
    """The open log file. It is rotated when it has reached its size."""

    def __init__(self, folder: str, replica: str, *, size: int = SIZE, old_files: int = OLD_FILES) -> None:
        super().__init__(replica)
        self._path = os.path.join(folder, LOG_FILE)
        self._size = size
        self._old_files = old_files
        self._fd: int | None = None
        self._written = 0

    def _end(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, data: bytes) -> bool:
        try:
            fd = self._open(len(data))
            if os.write(fd, data) < len(data):
                os.ftruncate(fd, self._written)
                return False
        except OSError:
            self._end()
            return False
        self._written += len(data)
        return True

    def _open(self, more: int) -> int:
        if self._fd is not None and self._written and self._written + more > self._size:
            self._rotate()
        if self._fd is None:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._written = os.fstat(self._fd).st_size
        return self._fd

    def _rotate(self) -> None:
        self._end()
        for number in range(self._old_files, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(newer):
                os.replace(newer, older)


class LogOutput(Log):
    """The log on a pipe: the container's output, which the node's runtime reads and keeps."""

    def __init__(self, replica: str, fd: int = 1, copy: LogSender | None = None) -> None:
        super().__init__(replica, copy)
        self._fd = fd
        self._rest = b""
        """The end of a line that the pipe had no space for. It comes before all else."""
        os.set_blocking(fd, False)

    def _end(self) -> None:
        self._write(self._rest)
        self._rest = b""

    def _append(self, data: bytes) -> bool:
        self._rest = self._rest[self._write(self._rest) :]
        if self._rest:
            return False
        self._rest = data[self._write(data) :]
        return True

    def _write(self, data: bytes) -> int:
        """Return how many bytes the pipe has taken."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:  # no reader is left: the data has nowhere to go
            return len(data)


def new_log(config: ReplicaConfig, folder: str) -> Log:
    """Return the log that the configuration asks for. ``folder``: the replica's own, by default."""
    if config.log_to_stdout:
        return LogOutput(config.id, copy=_sender(config.id, config.log_archive))
    return LogFile(config.log_dir or folder, config.id)


def _sender(replica: str, archive: LogArchiveAccess | None) -> LogSender | None:
    return LogSender(replica, lambda: HttpsConnection(archive, replica)) if archive else None


def _lost_entry(count: int) -> LogEntry:
    message = f"{count} lines before this one were lost: the log could not be written (is the disk full?)"
    return LogEntry(message=message, time=time.time(), stream="gyrus", level="warning")
