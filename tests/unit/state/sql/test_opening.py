"""Opening a database: its schema, its settings, and what cannot be opened."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gyrus.state.errors import StoreUnusable
from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine, sqlite_url
from gyrus.state.sql.migration import MIGRATIONS, newest, upgrade
from gyrus.state.sql.store import open_store
from gyrus.state.sql.tables import metadata


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


async def test_migrations_make_the_tables_that_the_queries_use(file: Path) -> None:
    database = Database(create_engine(sqlite_url(file)))
    await upgrade(database)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


def test_the_newest_migration_is_alembics_head() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == newest()


@pytest.mark.processes
async def test_one_that_is_up_to_date_is_opened_without_alembic(file: Path) -> None:
    async with open_store(sqlite_url(file)):
        pass
    program = (
        "import asyncio, sys\n"
        "from gyrus.state.sql.store import open_store\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1]) as store:\n"
        "        print(await store.apis(), 'alembic' in sys.modules)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, sqlite_url(file), stdout=asyncio.subprocess.PIPE
    )
    reported, _ = await process.communicate()
    assert reported == b"() False\n"


async def test_every_connection_is_durable(file: Path) -> None:
    database = Database(create_engine(sqlite_url(file)))
    for transaction in (database.reading, database.writing):
        async with transaction() as connection:
            settings = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert settings == ["wal", 2, 1, 30_000]  # 2 is FULL
    await database.close()


async def test_events_do_not_wait_for_the_disk_and_nothing_else_is_written_like_them(file: Path) -> None:
    database = Database(create_engine(sqlite_url(file)))
    found: list[int] = []
    for transaction in (database.relaxed_writing, database.writing, database.relaxed_writing):
        async with transaction() as connection:
            found.append((await connection.execute(text("PRAGMA synchronous"))).scalar_one())
    assert found == [1, 2, 1]  # NORMAL, FULL
    await database.close()


async def test_events_of_an_older_database_keep_their_ids(file: Path) -> None:
    database = Database(create_engine(sqlite_url(file)))
    async with database.writing() as connection:
        await connection.run_sync(_migrate_to, "0002")
        for statement in OLD_EVENTS:
            await connection.execute(text(statement))
    await database.close()
    async with open_store(sqlite_url(file)) as store:
        first, second = await store.events("iris")
        assert [(e.id, e.reason, e.count, e.first_time) for e in (first, second)] == [
            (3, "Deployed", 1, None),
            (7, "ReplicaReady", 1, None),
        ]
        (repeated,) = await store.record(second)
        assert (repeated.id, repeated.count) == (8, 2)


OLD_EVENTS = (
    "INSERT INTO apis VALUES ('iris', 'RealtimeAPI', 1, 1, NULL, 'progressing', '', 1, 0, "
    "'2026-11-24 00:00:00.000000', '2026-11-24 00:00:00.000000')",
    'INSERT INTO revisions VALUES (\'iris\', 1, \'d\', \'{"name": "iris", "handler": {"path": "h.py"}}\', '
    "'/iris', NULL, '2026-11-24 00:00:00.000000')",
    "INSERT INTO rollouts VALUES ('iris', 1, 1, 'deploy', 'progressing', '', "
    "'2026-11-24 00:00:00.000000', NULL)",
    "INSERT INTO events VALUES (3, 'iris', '2026-11-24 00:00:00.000000', 'normal', 'Deployed', 'x', NULL)",
    "INSERT INTO events VALUES (7, 'iris', '2026-11-24 00:00:01.000000', 'normal', 'ReplicaReady', 'x', 'r')",
)


def _migrate_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_the_files_are_the_owners_alone(file: Path) -> None:
    async with open_store(sqlite_url(file)) as store:
        await store.apis()
        files = sorted(file.parent.iterdir())
        assert [path.name for path in files] == ["state.db", "state.db-shm", "state.db-wal"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_any_path_can_hold_it(tmp_path: Path) -> None:
    file = tmp_path / "100% odd?#&" / "ståte.db"
    file.parent.mkdir()
    async with open_store(sqlite_url(file)) as store:
        assert await store.apis() == ()
    assert file.exists()


async def test_many_open_a_new_one_at_once(file: Path) -> None:
    async def open_and_read() -> int:
        async with open_store(sqlite_url(file)) as store:
            return len(await store.apis())

    assert await asyncio.gather(*(open_and_read() for _ in range(6))) == [0] * 6


@pytest.mark.processes
async def test_processes_open_a_new_one_at_once(file: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from gyrus.state.sql.store import open_store\n"
        "async def main():\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    async with open_store(sys.argv[1]) as store:\n"
        "        print(len(await store.apis()))\n"
        "asyncio.run(main())\n"
    )
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, sqlite_url(file), stdin=pipe, stdout=pipe, stderr=pipe
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout
        assert await process.stdout.readline() == b"ready\n"
    for reported in await asyncio.gather(*(process.communicate(b"go\n") for process in processes)):
        assert reported == (b"0\n", b"")


async def test_one_of_a_newer_gyrus(file: Path) -> None:
    async with open_store(sqlite_url(file)):
        pass
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreUnusable, match="written by another version of gyrus"):
        async with open_store(sqlite_url(file)):
            pass


async def test_what_is_no_database(file: Path) -> None:
    file.write_text("Dear diary, " * 1000)
    before = set(threading.enumerate())
    with pytest.raises(StoreUnusable, match=r"state\.db cannot be used: file is not a database"):
        async with open_store(sqlite_url(file)):
            pass
    for thread in set(threading.enumerate()) - before:  # each connection has one
        thread.join(5)
        assert not thread.is_alive()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"cannot be opened: No such file"):
        async with open_store(sqlite_url(tmp_path / "nowhere" / "state.db")):
            pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "store's URL is not valid"),
        ("mysql://host/name", "no store over mysql; choose sqlite or postgresql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        (
            "postgresql://nobody:secret@/none?host=/nowhere",
            r"postgresql\+psycopg://nobody:\*\*\*@.* cannot be used",
        ),
    ],
)
async def test_other_urls(url: str, message: str) -> None:
    with pytest.raises(StoreUnusable, match=message) as raised:
        async with open_store(url):
            pass
    assert "secret" not in str(raised.value)
