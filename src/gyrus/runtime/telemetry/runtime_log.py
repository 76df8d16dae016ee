"""The runtime's own log: tracebacks of handlers, and faults of the runtime.

It does not pass through :mod:`logging`, which belongs to the handler: a handler may remove its handlers,
disable its loggers or raise its level, and the client's answer still refers to the traceback in the log.
"""

from __future__ import annotations

import logging

from gyrus.runtime.telemetry.control import Control
from gyrus.runtime.telemetry.output import OURS, current_request

_NAMES = {logging.ERROR: "error", logging.WARNING: "warning"}


class RuntimeLog:
    """A log with the id of the current request. Writing to it never raises."""

    def __init__(self) -> None:
        self._control: Control | None = None

    def connect(self, control: Control | None) -> None:
        """Write to this control from now on. None means :mod:`logging`, as in a test of a handler."""
        self._control = control

    def error(self, message: str) -> None:
        self._write(logging.ERROR, message)

    def warning(self, message: str) -> None:
        self._write(logging.WARNING, message)

    def _write(self, level: int, message: str) -> None:
        try:
            if self._control is None:
                logging.getLogger(OURS).log(level, "%s", message)
            else:
                self._control.log(OURS, message, level=_NAMES[level], request_id=current_request.get())
        except BaseException:
            pass  # the answer to the client is more important than its record


runtime_log = RuntimeLog()
"""The log of this process."""
