"""The version in an API's row: of writers that read the same one, a single one replaces it.

The store reads and writes in one transaction, and writers wait for each other, so that its own check of the
version comes first. These are the writers that it does not stop: one that read in an earlier transaction, and
one that does not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from gyrus.spec.realtime import RealtimeSpec
from gyrus.state import transitions
from gyrus.state.errors import StaleVersion
from gyrus.state.records import Api
from gyrus.state.sql import queries
from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine
from gyrus.state.sql.store import open_store

NOW = datetime(2030, 1, 1, tzinfo=UTC)

Write = Callable[[Database, int], Awaitable[None]]
"""Reads the API, waits until the others have read it too, and gives it so many replicas."""


async def test_a_writer_that_read_in_an_earlier_transaction(database: str) -> None:
    read = asyncio.Barrier(2)

    async def write(own: Database, replicas: int) -> None:
        async with own.reading() as connection:
            api = await queries.find_api(connection, "iris")
        await read.wait()
        assert api
        async with own.writing() as connection:
            await queries.update_api(connection, transitions.scale(api, replicas))

    await one_is_stale(database, write)


async def test_a_writer_that_does_not_take_the_writers_lock(postgresql: str) -> None:
    """SQLite has no other writer beside one, whatever it does."""
    read = asyncio.Barrier(2)

    async def write(own: Database, replicas: int) -> None:
        async with own.reading() as connection:  # it is the lock alone that makes a transaction a writing one
            api = await queries.find_api(connection, "iris")
            await read.wait()
            assert api
            await queries.update_api(connection, transitions.scale(api, replicas))

    await one_is_stale(postgresql, write)


async def one_is_stale(url: str, write: Write) -> None:
    """Let two write at once, from databases of their own as two operators have, ten times."""
    one, other = Database(create_engine(url)), Database(create_engine(url))
    async with open_store(url) as store:
        await store.deploy(
            [RealtimeSpec.model_validate({"name": "iris", "handler": {"path": "handler.py"}})], None, NOW
        )
        for version in range(1, 11):
            ends = await asyncio.gather(write(one, 7), write(other, 8), return_exceptions=True)
            (error,) = [end for end in ends if end is not None]
            assert isinstance(error, StaleVersion)
            api = await store.api("iris")
            assert isinstance(api, Api)
            assert api.version == version + 1
            assert api.replicas == (8 if isinstance(ends[0], StaleVersion) else 7)
    await one.close()
    await other.close()
