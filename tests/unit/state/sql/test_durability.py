"""What was acknowledged is there, whatever happens next."""

from __future__ import annotations

import asyncio
import errno
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyrus.contract.operator import Outcome
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.errors import StorageFull
from gyrus.state.records import Event
from gyrus.state.sql.dialects import is_full, sqlite_url
from gyrus.state.sql.store import open_store
from support.small_disk import small_disk

START = datetime(2030, 1, 1, tzinfo=UTC)

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from gyrus.contract.operator import Outcome
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.records import Event
from gyrus.state.sql.store import open_store

async def main(url, start):
    now = datetime.now(UTC)
    async with open_store(url) as store:
        for number in range(start, start + 100_000):
            spec = RealtimeSpec.model_validate(
                {"name": f"api-{number % 5}", "handler": {"path": "h.py"}, "env": {"N": str(number)}})
            (change,) = await store.deploy([spec], None, now)
            print("deployed", change.api.name, change.api.target.revision, number, flush=True)
            api = await store.finish(change.api, Outcome.DONE, "", now)
            print("live", api.name, api.live.revision, number, flush=True)
            event = Event(api=api.name, time=now, type="normal", reason="Was", message=str(number))
            await store.record(event)
            print("event", api.name, 0, number, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def spec(name: str = "iris", **fields: object) -> RealtimeSpec:
    return RealtimeSpec.model_validate({"name": name, "handler": {"path": "handler.py"}, **fields})


@pytest.mark.processes
async def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "state.db")
    acknowledged: list[list[str]] = []
    for kill in range(4):
        acknowledged += _write_until_killed(url, start=kill * 1_000_000)
    async with open_store(url) as store:
        for what, name, revision, number in acknowledged:
            found = await store.revision(name, int(revision))
            match what:
                case "deployed":
                    assert found
                    assert isinstance(found.spec, RealtimeSpec)
                    assert found.spec.env == {"N": number}
                case "live":
                    done = (r for r in await store.rollouts(name) if r.outcome is Outcome.DONE)
                    assert int(revision) in {r.generation.revision for r in done}
                case _:
                    assert number in {event.message for event in await store.events(name, 1000)}
        for api in await store.apis():  # and what was not acknowledged is whole or not there at all
            assert await store.revision(api.name, api.target.revision)
            assert (await store.rollouts(api.name))[0].generation == api.target


def _write_until_killed(url: str, start: int) -> list[list[str]]:
    """What a writer acknowledged before it was killed, at a random moment."""
    command = [sys.executable, "-c", WRITER, url, str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(random.randint(1, 30))]
        for _ in range(random.randint(0, 20_000)):  # into the midst of a write
            pass
        writer.kill()
        lines += writer.stdout.readlines()
    complete = [line.split() for line in lines if line.endswith("\n")]
    assert complete
    return complete


async def test_a_cancelled_write_is_whole_or_not_there_and_hinders_no_other(tmp_path: Path) -> None:
    async with open_store(sqlite_url(tmp_path / "state.db")) as store:
        await store.deploy([spec("other")], None, START)
        for number in range(30):
            writing = asyncio.create_task(store.deploy([spec(env={"N": str(number)})], None, START))
            for _ in range(number):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
            async with asyncio.timeout(10):
                await store.refresh("other", START)
                revisions, rollouts = await store.revisions("iris"), await store.rollouts("iris")
            assert len(revisions) == len(rollouts)
        assert len(await store.rollouts("other")) == 31


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A file system of 1 MiB."""
    with small_disk(1024 * 1024) as place:
        yield place


@pytest.mark.processes
async def test_a_full_disk_is_reported_and_passes(full_disk: Path) -> None:
    async with open_store(sqlite_url(full_disk / "state.db")) as store:
        before = (await store.deploy([spec()], None, START))[0].api
        filler = full_disk / "filler"
        _fill(filler)
        long = Event(api="iris", time=START, type="normal", reason="Long", message="x" * 200_000)
        with pytest.raises(StorageFull, match=r"The disk is full: .*state\.db could not be written"):
            await store.record(long)
        assert await store.api("iris") == before
        assert await store.events("iris") == ()
        filler.unlink()
        await store.record(long)
        (stored,) = await store.events("iris")
        assert stored == replace(long, id=stored.id)


@pytest.mark.processes
async def test_a_full_disk_is_reported_when_a_new_store_is_opened(full_disk: Path) -> None:
    _fill(full_disk / "filler")
    with pytest.raises(StorageFull):
        async with open_store(sqlite_url(full_disk / "state.db")):
            pass


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while True:
            out.write(b"\0" * 4096)


def test_the_systems_own_word_for_it_is_understood() -> None:
    assert is_full(OSError(errno.ENOSPC, "No space left on device"))
    assert is_full(OSError(errno.EDQUOT, "Quota exceeded"))
    assert not is_full(OSError(errno.EACCES, "Permission denied"))
