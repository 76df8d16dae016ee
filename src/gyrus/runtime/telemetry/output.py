"""Printed text and log records of Python code, as log lines with the id of the current request.

Output of native code to the file descriptors 1 and 2 does not pass here; the supervisor reads it.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from gyrus.runtime.telemetry.control import Control, SwitchableControl
from gyrus.runtime.telemetry.line_sink import LineSink

OURS = "gyrus"
"""Name of the runtime's own logger."""

current_request: ContextVar[str | None] = ContextVar("gyrus_request", default=None)
"""Id of the request that the current thread or task works on."""

_sinks: list[LineSink] = []
_pending: set[int] = set()
"""Incomplete lines of all sinks and threads."""


def capture(control: SwitchableControl) -> None:
    """Capture all output from now on. The level of logging is INFO until the handler configures another.

    Processes that the handler forks write to the real streams: messages of several processes on one pipe
    would mix.
    """
    sys.stdout = log_stream("stdout", sys.__stdout__, control)
    sys.stderr = log_stream("stderr", sys.__stderr__, control)
    for stream in (sys.stdout, sys.stderr):
        sink = cast("LineSink", stream.buffer)
        _sinks.append(sink)
        atexit.register(sink.finish)
    os.register_at_fork(after_in_child=partial(_leave_to_parent, control))
    root = logging.getLogger()
    root.addHandler(LogHandler(control))
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def log_stream(name: str, original: Any, control: Control) -> io.TextIOWrapper:
    """Return a text stream that turns its lines into log lines."""

    def emit(line: str, request: str | None) -> None:
        control.log(name, line, level=None, request_id=request)

    sink = LineSink(name, original, emit, current_request.get, _pending)
    errors = getattr(original, "errors", None) or "backslashreplace"
    # Not line_buffering: it flushes after each text with a line end in it, which would cut what follows.
    stream = io.TextIOWrapper(sink, encoding="utf-8", errors=errors, newline="\n", write_through=True)  # pyright: ignore[reportArgumentType] -- typeshed asks for methods that it does not call
    vars(stream)["mode"] = "w"
    sink.encoding = _encoding_of(stream)
    return stream


def end_lines() -> None:
    """End this thread's incomplete lines, because its request has ended."""
    if _pending:  # almost always empty
        for sink in _sinks:
            sink.end_line()


def _encoding_of(stream: io.TextIOWrapper) -> Callable[[], str]:
    def encoding() -> str:
        try:
            return stream.encoding if stream.buffer else "utf-8"
        except ValueError:  # detached: another layer may be above the bytes
            return "utf-8"

    return encoding


def _leave_to_parent(control: SwitchableControl) -> None:
    """In a forked child: leave the control pipe and the incomplete lines to the parent."""
    control.leave_to_parent()
    for sink in _sinks:
        sink.forget()


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
