"""The protocol of a service outside the cluster that keeps a copy of the log, for longer than the archive."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import LogBatch


@dataclass(slots=True)
class ExportCounts:
    """Counts of an export since the operator started."""

    lines: int = 0
    """Lines that the service has taken."""
    dropped: int = 0
    """Lines that it has not: it was too slow for too long, or it refused them."""
    failures: int = 0
    """Calls that failed, each try counted."""
    waiting: int = 0
    """Bytes that wait to be sent."""


class LogExport(Protocol):
    """A copy of the log outside the cluster."""

    def offer(self, batch: LogBatch) -> None:
        """Take a batch. Never waits: what there is no memory for is counted. A repeated one is left out."""
        ...

    def read(self, query: LogQuery, until: float) -> AsyncGenerator[LogLine]:
        """Yield the lines of an API up to a time, in time order. ``previous`` and ``follow`` are ignored.

        ``until``: seconds since the epoch. Raises ArchiveError.
        """
        ...
