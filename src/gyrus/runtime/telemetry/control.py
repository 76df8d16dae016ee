"""The pipe to the supervisor: a line of JSON for each status, log line and refused request.

Without a supervisor (a worker that was started by hand), they are written to stderr as text.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Protocol, TextIO

from gyrus.contract.replica import Phase, Reason
from gyrus.runtime.supervisor.lines import CONTINUED

CONTROL_FD = "GYRUS_CONTROL_FD"
PIPE_SIZE = 1024 * 1024
"""Bytes that the pipe should hold, so that a busy supervisor does not delay a worker."""
LONGEST_MESSAGE = 256 * 1024
"""Characters of one message, at most; the supervisor limits the length of its lines too."""


_encode = json.JSONEncoder(separators=(",", ":")).encode
"""Encoder of messages. It is kept, because a handler may replace the functions of :mod:`json`."""


class Control(Protocol):
    """The receiver of status and log lines. Thread-safe."""

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None: ...

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None: ...
    def poison(self, request_id: str) -> None:
        """Report a request that was refused because it had taken down two workers."""
        ...

    def blocked(self, message: str) -> None:
        """Report that the event loop is blocked: a clause. Empty: it runs again."""
        ...


def open_control(fallback: TextIO) -> Control:
    """Open the pipe of ``$GYRUS_CONTROL_FD``; without the variable, return the fallback.

    Removes the variable, so that processes that the handler starts do not inherit it.
    """
    number = os.environ.pop(CONTROL_FD, None)
    return ControlPipe(int(number)) if number else PlainText(fallback)


class ControlPipe:
    """The pipe to the supervisor."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._fd = fd
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._writer: int | None = None
        """The thread that writes."""
        _enlarge(fd)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._fd)

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        self._write(
            {"kind": "status", "phase": phase, "reason": reason, "message": message, "lines": list(lines)}
        )

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        self._write(
            {
                "kind": "log",
                "time": time.time(),
                "stream": stream,
                "level": level,
                "request_id": request_id,
                "message": _limited(message),
            }
        )

    def poison(self, request_id: str) -> None:
        self._write({"kind": "poison", "time": time.time(), "request_id": request_id})

    def blocked(self, message: str) -> None:
        self._write({"kind": "blocked", "message": message})

    def _write(self, record: dict[str, Any]) -> None:
        """Write a message as a whole, after those that wait."""
        self._waiting.append(_encode(record).encode() + b"\n")
        # A signal handler or a finaliser may print while this thread writes. Its message waits for that one.
        if self._writer == threading.get_ident():
            return
        with self._lock:
            self._writer = threading.get_ident()
            try:
                while self._waiting:
                    self._write_all(self._waiting.popleft())
            finally:
                self._writer = None

    def _write_all(self, message: bytes) -> None:
        data = memoryview(message)
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError:  # the supervisor has ended, and the kernel ends this process with it
                return


class SwitchableControl:
    """A control that forwards to another one, which can be exchanged.

    Code that was loaded before a fork keeps a reference to it and so reports to the fork's own supervisor.
    """

    def __init__(self, to: Control) -> None:
        self._to = to

    def turn_to(self, to: Control) -> None:
        self._to = to

    def leave_to_parent(self) -> None:
        """Write to the standard streams from now on, because this process is a fork.

        Several processes must not write to the pipe: the kernel keeps only short messages together.
        """
        if isinstance(self._to, ControlPipe):
            self._to.close()
        self._to = StandardStreams()

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        self._to.status(phase, message, reason=reason, lines=lines)

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        self._to.log(stream, message, level=level, request_id=request_id)

    def poison(self, request_id: str) -> None:
        self._to.poison(request_id)

    def blocked(self, message: str) -> None:
        self._to.blocked(message)


class PlainText:
    """Status and log lines as text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        summary = ": ".join(part for part in (f"gyrus: {phase}", reason, message) if part)
        print(*lines, summary, sep="\n", file=self._out, flush=True)

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        mark = f"[{request_id}] " if request_id else ""
        print(f"{mark}{message}", file=self._out, flush=True)

    def poison(self, request_id: str) -> None:
        print(f"gyrus: refused: request {request_id} took down two workers", file=self._out, flush=True)

    def blocked(self, message: str) -> None:
        if message:
            print(f"gyrus: {message}", file=self._out, flush=True)


class StandardStreams:
    """The output of a process that the handler has forked: lines on its standard streams, and no status."""

    def poison(self, request_id: str) -> None:
        """Report nothing: only the parent answers requests."""

    def blocked(self, message: str) -> None:
        """Report nothing: the event loop is the parent's."""

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        """Report nothing: the status is the parent's."""

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        data = memoryview(f"{message}\n".encode(errors="replace"))
        while data:
            try:
                data = data[os.write(1 if stream == "stdout" else 2, data) :]
            except OSError:  # closed, or its reader has ended
                return


def _limited(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + CONTINUED


def _enlarge(fd: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    except (ImportError, AttributeError, OSError):  # not Linux, or more than the user's limit for pipes
        pass
