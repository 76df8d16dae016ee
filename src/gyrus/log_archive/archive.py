"""The protocol of a log archive.

A batch is the unit of writing: it is stored whole or not at all. That fits stores of whole objects (one
object a batch), and services that take batches of lines with their times.

::

    ArchiveError         a batch is not stored, or lines cannot be read; another try may help
    └── ArchiveFull      there is no space
    UnknownReplica       another try would not help
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gyrus.contract.operator import LogLine, LogQuery


class ArchiveError(Exception):
    """The archive cannot be used now."""


class ArchiveFull(ArchiveError):
    """There is no space for more lines."""


class UnknownReplica(Exception):
    """Lines of a replica whose API is deleted, or that never existed. They are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Successive lines of one source."""

    api: str
    replica: str
    source: str = ""
    """The part of the replica that wrote the lines, such as a container. Empty: all of it."""
    number: int
    """The same on each try, and another one than that of the source's batch before."""
    lines: tuple[LogLine, ...]
    """At least one, in the order of the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """The bounds of an archive. Beyond them, the oldest lines go first."""

    per_api: int = 64 * 2**20
    """Bytes of one API."""
    total: int = 2**30
    """Bytes of all APIs."""
    age: float = 7 * 24 * 3600.0
    """Seconds for which a line is kept."""


class LogArchive(Protocol):
    """Lines of replicas, those that are gone too."""

    async def append(self, batches: Sequence[LogBatch]) -> None:
        """Store batches, each whole or not at all. Raises ArchiveError; then any of them may be missing.

        A batch with the number of its source's last one is stored already, and is left out.
        """
        ...

    async def last_batch(self, api: str, replica: str, source: str = "") -> int | None:
        """Return the number of a source's last batch. Returns None if none is known. Raises ArchiveError."""
        ...

    def read(self, query: LogQuery) -> AsyncGenerator[LogLine]:
        """Yield the lines of an API in time order. ``previous`` and ``follow`` are ignored.

        A line may be some seconds out of order if its replica wrote it so. A part that is damaged is left
        out, and a line reports it. Raises ArchiveError.
        """
        ...

    async def complete_since(self, api: str) -> float:
        """Return the time from which on no line of an API has been removed, in seconds since the epoch.

        Returns infinity if the archive has no lines of it. Raises ArchiveError.
        """
        ...

    async def remove(self, api: str) -> None:
        """Remove all lines of an API. Idempotent. Raises ArchiveError."""
        ...

    async def sweep(self, limits: ArchiveLimits, now: float) -> int:
        """Remove the oldest lines beyond the limits, and return the bytes that are left.

        ``now``: seconds since the epoch. Raises ArchiveError.
        """
        ...
