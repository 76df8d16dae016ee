"""Segments of the log archive in the database, for operators that have no disk in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Select, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gyrus.log_archive.archive import ArchiveError, ArchiveFull, LogBatch
from gyrus.log_archive.segment import Content, Segment, encoded
from gyrus.state.errors import StateError, StorageFull
from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine
from gyrus.state.sql.tables import log_segments

SEGMENT = 32 * 1024
"""Bytes of a row, from which on the next batch begins another one: each batch writes its row again."""
LEAST = 512
"""Bytes that a row takes at least."""
REMOVED_AT_ONCE = 500
"""Rows of one statement."""

_DESCRIBED = (
    log_segments.c.id,
    log_segments.c.api,
    log_segments.c.replica,
    log_segments.c.first,
    log_segments.c.last,
    log_segments.c.size,
)


def open_log_segments(url: str, leader: str) -> SqlSegments:
    """Return the segments of a database whose schema is up to date. They have connections of their own.

    ``leader``: as of :func:`gyrus.state.sql.store.open_store`.
    """
    return SqlSegments(Database(create_engine(url), leader))


class SqlSegments:
    """Implements :class:`gyrus.log_archive.segment.SegmentStore`."""

    def __init__(self, database: Database, segment: int = SEGMENT) -> None:
        self._database = database
        self._segment = segment

    async def append(self, batches: Sequence[LogBatch]) -> None:
        async with _translated(), self._database.bulk_writing() as connection:
            for batch in batches:
                await self._append(connection, batch)

    async def last_batch(self, api: str, replica: str, source: str) -> int | None:
        async with _translated(), self._database.reading() as connection:
            row = (await connection.execute(_newest(replica, source))).one_or_none()
        return row.number if row else None

    async def segments(self, api: str | None = None) -> list[Segment]:
        query = select(*_DESCRIBED)
        if api is not None:
            query = query.where(log_segments.c.api == api)
        async with _translated(), self._database.reading() as connection:
            return [
                Segment(
                    key=str(row.id),
                    api=row.api,
                    replica=row.replica,
                    first=row.first,
                    last=row.last,
                    size=max(LEAST, row.size),
                )
                for row in await connection.execute(query)
            ]

    async def content(self, segment: Segment) -> Content:
        query = select(log_segments.c.lines).where(log_segments.c.id == int(segment.key))
        async with _translated(), self._database.reading() as connection:
            lines: str | None = (await connection.execute(query)).scalar_one_or_none()
        return Content((lines or "").encode())

    async def remove(self, segments: Sequence[Segment]) -> None:
        keys = [int(segment.key) for segment in segments]
        for begin in range(0, len(keys), REMOVED_AT_ONCE):
            part = keys[begin : begin + REMOVED_AT_ONCE]
            async with _translated(), self._database.bulk_writing() as connection:
                await connection.execute(delete(log_segments).where(log_segments.c.id.in_(part)))

    async def close(self) -> None:
        await self._database.close()

    async def _append(self, connection: AsyncConnection, batch: LogBatch) -> None:
        table = log_segments.c
        row = (await connection.execute(_newest(batch.replica, batch.source))).one_or_none()
        if row is not None and row.number == batch.number:
            return
        text = encoded(batch.lines).decode()
        times = [line.time for line in batch.lines]
        size = len(text.encode())
        if row is None or row.size + size > self._segment:
            made = {"api": batch.api, "replica": batch.replica, "source": batch.source}
            made |= {"number": batch.number, "first": min(times), "last": max(times)}
            await connection.execute(insert(log_segments).values(**made, size=size, lines=text))
        else:
            changed = {"number": batch.number, "last": max(row.last, *times), "size": row.size + size}
            grown = update(log_segments).where(table.id == row.id)
            await connection.execute(grown.values(**changed, lines=table.lines + literal(text)))


def _newest(replica: str, source: str) -> Select[Any, Any, Any, Any]:
    """Return the query for the newest segment of a source, without its lines."""
    table = log_segments.c
    own = (table.replica == replica) & (table.source == source)
    return (
        select(table.id, table.number, table.size, table.last).where(own).order_by(table.id.desc()).limit(1)
    )


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    """Raise errors of the database as those of an archive."""
    try:
        yield
    except StorageFull as error:
        raise ArchiveFull(str(error)) from error
    except StateError as error:
        raise ArchiveError(str(error)) from error
