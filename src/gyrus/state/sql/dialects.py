"""All that differs between SQLite and PostgreSQL.

Either way there is one writer at a time: SQLite has no other, and on PostgreSQL a writing transaction first
takes an advisory lock. An operator writes a few times a second, and so no write ever meets another's half.
On PostgreSQL, relaxed writers have a lock of their own.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from enum import Enum
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gyrus.state.errors import StoreUnusable

WRITING = "gyrus_writing"
"""Execution option of transactions that write: a :class:`Writing`."""


class Writing(Enum):
    """How safe a write is when its transaction has ended."""

    DURABLE = "durable"
    """It is on disk."""
    RELAXED = "relaxed"
    """It survives the end of this process; it is on disk a moment later."""


BUSY_TIMEOUT = 30.0
"""Seconds to wait for another process's SQLite transaction."""

BUSY_PAUSE = 0.01
"""Seconds between two tries to open a file that others are just opening."""

ADVISORY_LOCKS = {Writing.DURABLE: 0x6779727573, Writing.RELAXED: 0x6779727574}
"""PostgreSQL's writers agree on these numbers; the first one says "gyrus"."""

_SQLITE_SYNCHRONOUS = {Writing.DURABLE: "FULL", Writing.RELAXED: "NORMAL"}

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}

_SQLITE_CORRUPT = 11
_SQLITE_FULL = 13
_SQLITE_NOTADB = 26
_SQLITE_IOERR_SHMSIZE = 4874
"""The shared-memory file beside the database could not grow."""
_POSTGRESQL_FULL = "53100"


def sqlite_url(path: Path) -> str:
    """The URL of the SQLite database in this file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def create_engine(url: str) -> AsyncEngine:
    """An engine whose transactions begin as the module says."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def has_one_writer(engine: AsyncEngine) -> bool:
    """Return True if the database lets no two transactions write at the same time."""
    return engine.url.get_backend_name() == "sqlite"


def is_full(error: BaseException) -> bool:
    """Whether a disk's end is the cause of this error."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, OSError):
        return original.errno in (errno.ENOSPC, errno.EDQUOT)
    if getattr(original, "sqlite_errorcode", None) in (_SQLITE_FULL, _SQLITE_IOERR_SHMSIZE):
        return True
    return getattr(original, "sqlstate", None) == _POSTGRESQL_FULL


def is_damaged(error: BaseException) -> bool:
    """SQLite's file is none, or not a whole one."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code in (_SQLITE_CORRUPT, _SQLITE_NOTADB)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreUnusable("This is not a store's URL; write sqlite:////path or postgresql://…") from error
    driver = _DRIVERS.get(parsed.drivername, parsed.drivername)
    if driver not in _DRIVERS.values():
        raise StoreUnusable(f"There is no store over {parsed.drivername}; choose sqlite or postgresql.")
    return parsed.set(drivername=driver)


def _sqlite(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise StoreUnusable("A SQLite store needs a file: sqlite:////path/of/state.db")
    try:
        _create_private(Path(url.database))
        _set_wal(url.database)
    except OSError as error:
        raise StoreUnusable(f"The database {url.database} cannot be opened: {error.strerror}.") from error
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, pool_size=5, max_overflow=0)
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _create_private(database: Path) -> None:
    """Specifications may hold secrets; the files that SQLite puts beside it get the same mode."""
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))


def _set_wal(database: str) -> None:
    """SQLite does not wait for others here by itself: of several that open a new file at once, some would be
    told that it is locked. Other faults of the file are told when it is used."""
    patience = monotonic() + BUSY_TIMEOUT
    with closing(sqlite3.connect(database)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_BUSY and monotonic() < patience:
                    sleep(BUSY_PAUSE)
                    continue
            return


def _configure_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Durable with every commit, and readers beside the writer. WAL mode, once set, is the file's own."""
    driver: Any = connection
    driver.isolation_level = None  # the driver begins nothing by itself
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING)
    if writing is None:
        connection.exec_driver_sql("BEGIN")
        return
    # The connection is pooled: what its last transaction has set may differ.
    connection.exec_driver_sql(f"PRAGMA synchronous = {_SQLITE_SYNCHRONOUS[writing]}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql(url: URL) -> AsyncEngine:
    try:
        engine = create_async_engine(url, pool_size=5, max_overflow=0, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise StoreUnusable("PostgreSQL needs its driver: pip install 'gyrus[postgresql]'") from error
    event.listen(engine.sync_engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING)
    if writing is not None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCKS[writing]})")
    if writing is Writing.RELAXED:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
