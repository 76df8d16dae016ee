"""A database that any released gyrus has written is opened, read and worked with by this one."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from databases.write import APIS, DIGEST, at
from gyrus.contract.operator import Outcome
from gyrus.spec.api import ApiSpec
from gyrus.spec.load import loads
from gyrus.spec.upgrades import current_version
from gyrus.state.errors import Conflict
from gyrus.state.sql.migration import MIGRATIONS, newest
from gyrus.state.sql.store import SqlStore, open_store

DATABASES = APIS.parent
SCHEMAS = sorted({file.name.partition(".")[0] for file in DATABASES.glob("*.sql")})

pytestmark = pytest.mark.parametrize("schema", SCHEMAS)


def load(database: str, schema: str) -> None:
    """Load the dump into the empty database."""
    url = make_url(database)
    kind = url.get_backend_name()
    dump = (DATABASES / f"{schema}.{kind}.sql").read_text("utf-8")
    if kind == "sqlite":
        connection = sqlite3.connect(str(url.database))
        connection.executescript(dump)
        connection.close()
    else:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(dump.encode())


@pytest.fixture
def released(database: str, schema: str) -> str:
    """The URL of a database with this schema."""
    load(database, schema)
    return database


async def change(database: str, statement: str) -> None:
    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        with sqlite3.connect(str(url.database)) as connection:
            connection.execute(statement)
        connection.close()
    else:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(statement.encode())


async def test_every_specification_is_read_as_its_yaml_is_today(released: str) -> None:
    async with open_store(released) as store:
        for wanted in loads(APIS.read_text("utf-8"), APIS.name):
            api = await store.api(wanted.name)
            assert api
            revision = await store.revision(api.name, api.target.revision)
            assert revision
            assert (revision.spec, revision.package, revision.fault) == (wanted, DIGEST, "")


async def test_what_was_there_is_there(released: str) -> None:
    async with open_store(released) as store:
        apis = {api.name: api for api in await store.apis()}
        assert list(apis) == ["full", "gone", "plain", "server"]
        assert apis["gone"].deleting
        assert {name: api.outcome for name, api in apis.items()} == {
            "full": Outcome.PROGRESSING,
            "gone": Outcome.PROGRESSING,
            "plain": Outcome.FAILED,
            "server": Outcome.DONE,
        }
        full = apis["full"]
        assert full.live
        assert (full.live.revision, full.target.revision, full.replicas) == (1, 2, 2)
        assert full.target.started_at == at(5)
        assert apis["plain"].message == "Revision 1 did not become ready: no.\nTraceback"
        assert [event.message for event in await store.events("full")] == ["Revision 2 deployed"]
        assert await store.package(DIGEST)


async def test_the_same_yaml_deployed_again_begins_nothing(released: str) -> None:
    async with open_store(released) as store:
        before = {api.name: api for api in await store.apis()}
        changes = await store.deploy(loads(APIS.read_text("utf-8"), APIS.name), DIGEST, at(20))
        assert [(c.api.name, c.changed) for c in changes] == [
            ("full", False),
            ("server", False),
            ("plain", True),  # it had failed: that is a new try, of the same revision
        ]
        assert changes[0].api == before["full"]
        assert changes[1].api == before["server"]
        assert changes[2].api.target.revision == 1


async def test_it_goes_on_from_there(released: str) -> None:
    async with open_store(released) as store:
        full = await store.api("full")
        assert full
        live = await store.finish(full, Outcome.DONE, "", at(20))
        assert live.live == live.target
        assert (await store.rollback("full", None, at(21))).target.revision == 1
        await store.remove("gone")
        assert await store.api("gone") is None


BROKEN = {
    "an unknown field": ("warp", "warp: unknown field"),
    "broken JSON": ("{", "the stored document is not JSON"),
    "an unknown kind": ("kind", 'kind: "Teleporter" is not a kind'),
    "a newer version": ("version", f"in version 99, and this one reads versions up to {current_version()}"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_one_that_cannot_be_read_harms_no_other(released: str, schema: str, fault: str) -> None:
    how, why = BROKEN[fault]
    async with open_store(released) as store:
        await _break(released, store, how)
        broken = await store.revision("server", 1)
        assert broken
        assert why in broken.fault
        assert broken.fault.startswith("Revision 1 cannot be read: ")
        assert "deploy the API again" in broken.fault
        assert broken.spec.endpoint_path == "/server"
        assert len(await store.apis()) == 4
        assert [r.number for r in await store.revisions("server")] == [1]
        with pytest.raises(Conflict, match="Revision 1 cannot be read"):
            await store.refresh("server", at(20))
        full = await store.revision("full", 2)
        assert full
        assert not full.fault


async def test_a_deploy_heals_it_and_it_is_not_rolled_back_to(released: str) -> None:
    async with open_store(released) as store:
        await _break(released, store, "warp")
        _, server, _ = loads(APIS.read_text("utf-8"), APIS.name)
        (healed,) = await store.deploy([server], DIGEST, at(20))
        assert healed.changed
        assert healed.api.target.revision == 2
        await store.finish(healed.api, Outcome.DONE, "", at(21))
        with pytest.raises(Conflict, match="Revision 1 cannot be read: warp: unknown field"):
            await store.rollback("server", None, at(22))
        (again,) = await store.deploy([server], DIGEST, at(23))
        assert not again.changed


async def test_one_that_cannot_be_read_can_be_deleted(released: str) -> None:
    async with open_store(released) as store:
        await _break(released, store, "warp")
        await store.mark_deleting("server", at(20))
        await store.remove("server")
        assert await store.api("server") is None


async def _break(database: str, store: SqlStore, how: str) -> None:
    revision = await store.revision("server", 1)
    assert revision
    assert not revision.fault
    assert isinstance(revision.spec, ApiSpec)
    document = revision.spec.model_dump(mode="json")
    text = {
        "warp": json.dumps(document | {"warp": 9}),
        "kind": json.dumps(document | {"kind": "Teleporter"}),
        "{": "{",
    }.get(how, json.dumps(document))
    version = 99 if how == "version" else 1
    await change(
        database, f"UPDATE revisions SET spec = '{text}', spec_version = {version} WHERE api = 'server'"
    )


def test_there_is_a_database_of_every_schema_before_the_newest(schema: str) -> None:
    versions = {file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    assert versions - {newest()} <= set(SCHEMAS)
    assert {file.name for file in DATABASES.glob(f"{schema}.*")} == {
        f"{schema}.sqlite.sql",
        f"{schema}.postgresql.sql",
    }
    assert Path(DATABASES / "README.md").read_text().count(f"| {schema} |") == 1
