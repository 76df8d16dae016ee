"""Transactions, and the translation of their failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gyrus.state.errors import LeaderReplaced, StorageFull, StoreUnusable
from gyrus.state.sql.dialects import WRITING, Writing, has_one_writer, is_damaged, is_full
from gyrus.state.sql.tables import leadership

DAMAGED = " Replace it with a copy, or move it away to start with no APIs."


class Database:
    """One database.

    When a transaction's block has ended without an exception, its writes are on disk, except those of
    :meth:`relaxed_writing`.
    """

    def __init__(self, engine: AsyncEngine, leader: str = "") -> None:
        """``leader``: the operator that may write. Empty if no other one can reach the database."""
        self._engine = engine
        self.leader = leader
        self._writer = engine.execution_options(**{WRITING: Writing.DURABLE})
        self._relaxed_writer = engine.execution_options(**{WRITING: Writing.RELAXED})
        self._turn = asyncio.Lock()
        self._relaxed_turn = self._turn if has_one_writer(engine) else asyncio.Lock()

    @property
    def name(self) -> str:
        """The database's name in messages: SQLite's file, or the URL without its password."""
        url = self._engine.url
        if url.get_backend_name() == "sqlite" and url.database:
            return url.database
        return url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        with self._translated():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """Begin the only transaction that writes: the rows that it reads do not change until it ends."""
        with self._translated():
            async with self._turn, self._writer.begin() as connection:
                await self._check_leader(connection)
                yield connection

    @asynccontextmanager
    async def migrating(self) -> AsyncGenerator[AsyncConnection]:
        """Begin the only transaction that writes, though this operator may not be known as the leader yet."""
        with self._translated():
            async with self._turn, self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def bulk_writing(self) -> AsyncGenerator[AsyncConnection]:
        """Begin a transaction that writes much, into rows that no other one uses.

        On PostgreSQL, it keeps no other transaction waiting.
        """
        if has_one_writer(self._engine):
            async with self.writing() as connection:
                yield connection
        else:
            with self._translated():
                async with self._engine.begin() as connection:
                    await self._check_leader(connection)
                    yield connection

    @asynccontextmanager
    async def relaxed_writing(self) -> AsyncGenerator[AsyncConnection]:
        """Begin a transaction that is on disk a moment after its end.

        A failure of the machine may undo the last of these transactions, so it is for frequent writes that
        may be lost. No other such transaction runs at the same time. On PostgreSQL, one of :meth:`writing`
        may.
        """
        with self._translated():
            async with self._relaxed_turn, self._relaxed_writer.begin() as connection:
                await self._check_leader(connection)
                yield connection

    async def close(self) -> None:
        await self._engine.dispose()

    async def _check_leader(self, connection: AsyncConnection) -> None:
        """Raise LeaderReplaced if another operator has opened the database since."""
        if self.leader:
            leader = (await connection.execute(select(leadership.c.leader))).scalar_one_or_none()
            if leader != self.leader:
                raise LeaderReplaced(f"Another operator leads ({leader}): this one writes nothing any more.")

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Raise errors of the database and of the operating system as :mod:`gyrus.state.errors`."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            if is_full(error):
                raise StorageFull(
                    f"The disk is full: {self.name} could not be written. Free some space and try again."
                ) from error
            cause = getattr(error, "orig", None) or error
            remedy = DAMAGED if is_damaged(error) else ""
            raise StoreUnusable(f"The database {self.name} cannot be used: {cause}.{remedy}") from error
