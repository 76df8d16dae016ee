"""Every store, so that one and the same test runs over each; and an emulated AWS account."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from gyrus.state.memory import MemoryStore
from gyrus.state.sql import dialects
from gyrus.state.sql.store import open_store
from gyrus.state.store import Store
from support.aws.account import AwsAccount, aws_account
from support.postgresql import binaries, started

GIVEN = "GYRUS_TEST_POSTGRESQL_URL"
"""Of a server on which the tests may make a database of their own."""


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store of every kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_store(request.getfixturevalue(request.param)) as store:
        yield store


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of every kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of an empty SQLite database."""
    return dialects.sqlite_url(tmp_path / "state.db")


@pytest.fixture
def postgresql(postgresql_database: str) -> str:
    """The URL of an empty PostgreSQL database."""
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgresql_database


@pytest.fixture(scope="session")
def postgresql_database(postgresql_server: str) -> Iterator[str]:
    """The URL of a database of this test run's own."""
    name = f"gyrus_test_{token_hex(6)}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server: the one that the environment names, or one that is started here."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    programs = binaries()
    if programs is None:
        pytest.skip(f"no PostgreSQL: install Debian's package postgresql, or set {GIVEN}")
    with started(programs) as url:
        yield url


@pytest.fixture(scope="module")
def running() -> Iterator[AwsAccount]:
    """An emulated AWS account for the tests of a file."""
    with aws_account() as account:
        yield account
