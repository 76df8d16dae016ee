"""Printed text and log records of Python code, as log lines with the id of the current request.

Output of native code to the file descriptors 1 and 2 does not pass here; the supervisor reads it.
"""

from __future__ import annotations

import atexit
import io
import logging
import sys
import threading
from collections.abc import Iterable
from contextvars import ContextVar

from gyrus.runtime.telemetry.control import Control

LONGEST_LINE = 64 * 1024
"""Characters of an incomplete line that are held back, at most."""
OURS = "gyrus"
"""Name of the runtime's own logger."""

current_request: ContextVar[str | None] = ContextVar("gyrus_request", default=None)
"""Id of the request that the current thread or task works on."""


def capture(control: Control) -> None:
    """Capture all output from now on. The level of logging is INFO until the handler configures another."""
    sys.stdout = LogStream("stdout", sys.__stdout__, control)
    sys.stderr = LogStream("stderr", sys.__stderr__, control)
    atexit.register(sys.stdout.finish)
    atexit.register(sys.stderr.finish)
    root = logging.getLogger()
    root.addHandler(LogHandler(control))
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


class LogStream(io.TextIOBase):
    """A stream that turns text into log lines; each thread has its own incomplete line."""

    def __init__(self, name: str, original: io.TextIOBase | object, control: Control) -> None:
        super().__init__()
        self._name = name
        self._original = original
        self._control = control
        self._held = threading.local()

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    encoding = "utf-8"

    @property
    def buffer(self) -> object:
        """The buffer of the real stream, for code that writes bytes."""
        return getattr(self._original, "buffer", None)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if isinstance(self._original, io.IOBase):
            return self._original.fileno()
        raise io.UnsupportedOperation("fileno")

    def write(self, text: str, /) -> int:
        whole = getattr(self._held, "text", "") + text
        *lines, rest = whole.split("\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], ""
        self._held.text = rest
        self._log(lines)
        return len(text)

    def flush(self) -> None:
        """Keep an incomplete line: after ``print(end="", flush=True)``, more of it follows."""

    def finish(self) -> None:
        """Log this thread's incomplete line."""
        if getattr(self._held, "text", ""):
            self.write("\n")

    def _log(self, lines: Iterable[str]) -> None:
        request = current_request.get()
        for line in lines:
            self._control.log(self._name, line.removesuffix("\r"), level=None, request_id=request)


class LogHandler(logging.Handler):
    """A handler of :mod:`logging` that makes one log line of each record and its traceback."""

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:
            self.handleError(record)
            return
        ours = record.name == OURS
        named = message if ours else f"{record.name}: {message}"
        level = record.levelname.lower()
        stream = OURS if ours else "stderr"
        self._control.log(stream, named, level=level, request_id=current_request.get())
