"""The operator's own lines, on their way to CloudWatch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gyrus.cluster.aws.cloudwatch.documents import events_of
from gyrus.cluster.aws.cloudwatch.shipper import LogShipper
from gyrus.cluster.aws.cloudwatch.target import operator_stream
from gyrus.contract.operator import LogLine


class OperatorLines(logging.Handler):
    """Passes the records of any thread on to the shipper, which one event loop owns."""

    def __init__(self, shipper: LogShipper, pod: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._shipper = shipper
        self._pod = pod
        self._loop = loop
        self._last = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = line_of(record, self._pod)
            self._loop.call_soon_threadsafe(self._add, line)
        except RuntimeError:  # the loop has ended
            pass
        except Exception:
            self.handleError(record)

    def _add(self, line: LogLine) -> None:
        self._last = max(self._last + 1, time.time_ns())
        self._shipper.add(operator_stream(self._pod), events_of([line], self._last))


def line_of(record: logging.LogRecord, pod: str) -> LogLine:
    """Return the line of a record, with the trace of its exception."""
    message = f"{record.name}: {record.getMessage()}"
    if record.exc_info:
        message += "\n" + logging.Formatter().formatException(record.exc_info)
    level = record.levelname.lower()
    return LogLine(time=record.created, replica=pod, message=message, stream="gyrus", level=level)


async def ship_operator_lines(
    shipper: LogShipper, pod: str, wrapped: Callable[[logging.Handler], logging.Handler]
) -> None:
    """Pass on what this process logs, until cancelled. ``wrapped``: returns the handler to install."""
    handler = wrapped(OperatorLines(shipper, pod, asyncio.get_running_loop()))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        root.removeHandler(handler)
