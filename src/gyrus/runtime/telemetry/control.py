"""The pipe to the supervisor: a line of JSON for each status and each line of log.

Without a supervisor (a worker that was started by hand) everything goes to stderr as text.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Protocol, TextIO

from gyrus.contract.replica import Phase, Reason

CONTROL_FD = "GYRUS_CONTROL_FD"
PIPE_SIZE = 1024 * 1024
"""Bytes that the pipe should hold, so that a supervisor that is busy does not hold up a worker."""
LONGEST_MESSAGE = 256 * 1024
"""Characters of one message; the supervisor's lines have a limit, too."""


class Control(Protocol):
    """Thread-safe."""

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None: ...

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None: ...


def open_control(fallback: TextIO) -> Control:
    """By ``$GYRUS_CONTROL_FD``, which processes that the handler starts do not inherit."""
    number = os.environ.pop(CONTROL_FD, None)
    return ControlPipe(int(number)) if number else PlainText(fallback)


class ControlPipe:
    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._fd = fd
        self._lock = threading.Lock()
        _enlarge(fd)

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
                "message": message[:LONGEST_MESSAGE],
            }
        )

    def _write(self, said: dict[str, Any]) -> None:
        data = memoryview(json.dumps(said, separators=(",", ":")).encode() + b"\n")
        with self._lock:
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except OSError:  # the supervisor is gone, and so are we in a moment
                    return


class SwitchableControl:
    """Passes on to another, which may be exchanged: what was loaded before a fork speaks through it."""

    def __init__(self, to: Control) -> None:
        self._to = to

    def turn_to(self, to: Control) -> None:
        self._to = to

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        self._to.status(phase, message, reason=reason, lines=lines)

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        self._to.log(stream, message, level=level, request_id=request_id)


class PlainText:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def status(
        self, phase: Phase, message: str = "", *, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        told = ": ".join(part for part in (f"gyrus: {phase}", reason, message) if part)
        print(*lines, told, sep="\n", file=self._out, flush=True)

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        mark = f"[{request_id}] " if request_id else ""
        print(f"{mark}{message}", file=self._out, flush=True)


def _enlarge(fd: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    except (ImportError, AttributeError, OSError):  # not Linux, or not that much
        pass
