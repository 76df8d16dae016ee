"""Files in the database, in chunks, for operators that have no disk in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from secrets import token_hex

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gyrus.packaging.shared_folder import SharedFile
from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine
from gyrus.state.sql.tables import file_chunks, files

CHUNK = 1024 * 1024
"""Bytes of a row."""
CHUNKS_AT_ONCE = 8
"""Rows of one transaction."""


def open_files(url: str, leader: str) -> SqlFiles:
    """Return the files of a database whose schema is up to date. They have connections of their own.

    ``leader``: as of :func:`gyrus.state.sql.store.open_store`.
    """
    return SqlFiles(Database(create_engine(url), leader))


class SqlFiles:
    """Implements :class:`gyrus.packaging.shared_folder.SharedFiles`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[str, SharedFile]:
        async with self._database.writing() as connection:
            await connection.execute(delete(files).where(~files.c.complete))
            rows = await connection.execute(select(files))
            return {
                row.name: SharedFile(digest=row.digest, size=row.size, used_at=row.used_at) for row in rows
            }

    async def put(self, name: str, file: SharedFile, source: Path) -> None:
        content = token_hex(16)
        row = {"content": content, "name": name, "complete": False}
        known = {"digest": file.digest, "size": file.size, "used_at": file.used_at}
        async with self._database.writing() as connection:
            await connection.execute(insert(files).values(**row, **known))
        await self._put_chunks(content, source)
        async with self._database.writing() as connection:
            await connection.execute(delete(files).where(files.c.name == name, files.c.complete))
            own = files.c.content == content
            await connection.execute(update(files).where(own).values(complete=True))

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        own = select(files.c.content).where(files.c.name == name, files.c.complete)
        async with self._database.reading() as connection:
            content = (await connection.execute(own)).scalar_one_or_none()
        if content is None:
            return
        number = 0
        while chunk := await self._chunk(content, number):
            yield chunk
            number += 1

    async def signed_url(self, name: str) -> str | None:
        return None

    async def use(self, name: str, at: float) -> None:
        async with self._database.writing() as connection:
            await connection.execute(update(files).where(files.c.name == name).values(used_at=at))

    async def remove(self, names: Iterable[str]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(files).where(files.c.name.in_(tuple(names))))

    async def close(self) -> None:
        await self._database.close()

    async def _put_chunks(self, content: str, source: Path) -> None:
        number = 0
        with source.open("rb") as file:
            while True:
                async with self._database.bulk_writing() as connection:
                    written = await _insert_chunks(connection, content, number, file.read)
                if written < CHUNKS_AT_ONCE:
                    return
                number += written

    async def _chunk(self, content: str, number: int) -> bytes:
        """Return a chunk. Empty after the last one."""
        own = (file_chunks.c.content == content) & (file_chunks.c.number == number)
        async with self._database.reading() as connection:
            return (
                await connection.execute(select(file_chunks.c.data).where(own))
            ).scalar_one_or_none() or b""


async def _insert_chunks(
    connection: AsyncConnection, content: str, first: int, read: Callable[[int], bytes]
) -> int:
    """Insert the next chunks. Returns their number, which is smaller than CHUNKS_AT_ONCE at the end."""
    for written in range(CHUNKS_AT_ONCE):
        data = await asyncio.to_thread(read, CHUNK)
        if not data:
            return written
        row = {"content": content, "number": first + written, "data": data}
        await connection.execute(insert(file_chunks).values(**row))
    return CHUNKS_AT_ONCE
