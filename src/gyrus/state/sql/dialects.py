"""The differences between SQLite and PostgreSQL.

Both have one writer at a time. SQLite allows no second one, and on PostgreSQL a writing transaction first
takes an advisory lock. That is enough for the few writes per second of an operator, and no write ever sees
another half done. On PostgreSQL, relaxed writers have a lock of their own.
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
    """The durability of a write when its transaction has ended."""

    DURABLE = "durable"
    """On disk."""
    RELAXED = "relaxed"
    """Safe even if this process ends, and on disk a moment later."""


BUSY_TIMEOUT = 30.0
"""Seconds to wait for another process's SQLite transaction."""

BUSY_PAUSE = 0.01
"""Seconds between two attempts to open a file that other processes are opening."""

ADVISORY_LOCKS = {Writing.DURABLE: 0x6779727573, Writing.RELAXED: 0x6779727574}
"""Numbers that PostgreSQL's writers agree on. The first one is "gyrus" in ASCII."""

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
    """Return the URL of the SQLite database in this file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def create_engine(url: str) -> AsyncEngine:
    """Return an engine whose transactions begin as this module's docstring describes."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def has_one_writer(engine: AsyncEngine) -> bool:
    """Return True if the database lets no two transactions write at the same time."""
    return engine.url.get_backend_name() == "sqlite"


def is_full(error: BaseException) -> bool:
    """Return True if a full disk is the cause of this error."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, OSError):
        return original.errno in (errno.ENOSPC, errno.EDQUOT)
    if getattr(original, "sqlite_errorcode", None) in (_SQLITE_FULL, _SQLITE_IOERR_SHMSIZE):
        return True
    return getattr(original, "sqlstate", None) == _POSTGRESQL_FULL


def is_damaged(error: BaseException) -> bool:
    """Return True if SQLite's file is not a database, or is corrupt."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code in (_SQLITE_CORRUPT, _SQLITE_NOTADB)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreUnusable(
            "The store's URL is not valid; write sqlite:////path or postgresql://…"
        ) from error
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
    """Create the database's file, readable by its owner only: specifications may hold secrets.

    SQLite gives the files that it creates beside it the same mode.
    """
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))


def _set_wal(database: str) -> None:
    """Set WAL mode, and wait for other processes that do the same.

    SQLite's own busy timeout does not apply here: if several processes open a new file at once, some would
    get the error that it is locked. Other faults of the file are reported when it is used.
    """
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
    """Make every commit durable, and let readers work beside the writer.

    WAL mode is a property of the file, and stays once it is set. The other settings are the connection's.
    """
    driver: Any = connection
    driver.isolation_level = None  # the driver must not begin transactions by itself: see _begin_sqlite
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING)
    if writing is None:
        connection.exec_driver_sql("BEGIN")
        return
    # The connection is pooled: its last transaction may have set another value.
    connection.exec_driver_sql(f"PRAGMA synchronous = {_SQLITE_SYNCHRONOUS[writing]}")
    # A plain BEGIN would take the write lock at the first write, and fail if another writer came between.
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
    if writing is not None:  # the end of the transaction releases the lock
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCKS[writing]})")
    if writing is Writing.RELAXED:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
