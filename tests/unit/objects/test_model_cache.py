from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.models import ModelFolder
from gyrus.objects import model_cache as module
from gyrus.objects.errors import ObjectChanged, ObjectsRefused, ObjectsUnreachable
from gyrus.objects.location import ObjectLocation
from gyrus.objects.memory import MemoryObjects
from gyrus.objects.model_cache import LEFTOVER, CachedModels, ModelCache, models_to_remove
from gyrus.objects.models import resolve_models
from gyrus.objects.store import ObjectInfo


@dataclass
class Objects(MemoryObjects):
    """Objects that count what is read, and may fail or wait."""

    reads: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    fails_after: int = 10**9
    damaged: int = 0
    """The number of next reads that return other bytes."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, pinned: ObjectInfo, begin: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        self.reads.append((pinned.name, begin))
        self.begun.set()
        await self.open.wait()
        if len(self.reads) > self.fails_after:
            raise ObjectsUnreachable("no network")
        self.damaged -= 1
        async for chunk in super().read(pinned, begin, end):
            yield chunk if self.damaged < 0 else bytes(len(chunk))


@dataclass
class Machine:
    objects: Objects
    cache: ModelCache
    folder: Path
    messages: list[str] = field(default_factory=list[str])

    async def models(self) -> ModelFolder:
        return await resolve_models("s3://models", self.opened)

    def opened(self, _location: ObjectLocation) -> Objects:
        return self.objects

    async def fetch(self, models: ModelFolder) -> Path:
        return await self.cache.fetch(models, self.messages.append)


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(module, "PART", 10)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    objects = Objects("s3://models")
    objects.open.set()
    for name, size in (("a", 35), ("b/c", 10), ("empty", 0)):
        await objects.put(name, os.urandom(size))
    folder = tmp_path / "models"
    return Machine(objects, ModelCache(folder, lambda _: objects), folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


async def test_models_are_fetched_once_and_shared(machine: Machine) -> None:
    models = await machine.models()
    first, second = await asyncio.gather(machine.fetch(models), machine.fetch(models))
    assert first == second == machine.folder / models.key
    assert contents(first) == {name: content for name, (_, content) in machine.objects.kept.items()}
    assert len(machine.objects.reads) == 4 + 1 + 1
    assert await machine.fetch(models) == first
    assert len(machine.objects.reads) == 6
    assert not os.access(first / "a", os.W_OK) or os.geteuid() == 0
    assert (first / "a").stat().st_mode & 0o777 == 0o444
    assert machine.messages[0] == "fetching the models"
    assert machine.messages[-1] == "fetching the models (100 % of 0 MiB)"


async def test_a_changed_object_is_refused(machine: Machine) -> None:
    models = await machine.models()
    await machine.objects.put("a", b"later")
    with pytest.raises(ObjectChanged, match="s3://models/a has changed"):
        await machine.fetch(models)
    assert (await machine.models()).key != models.key


async def test_a_fetch_that_fails_is_continued(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    models = await machine.models()
    machine.objects.fails_after = 5
    with pytest.raises(ObjectsUnreachable, match="no network"):
        await machine.fetch(models)
    assert not (machine.folder / models.key).exists()
    assert (machine.folder / f".unfinished-{models.key}" / "a").stat().st_size == 35
    machine.objects.fails_after, machine.objects.reads = 10**9, []
    folder = await machine.fetch(models)
    assert len(contents(folder)) == 3
    assert "a" not in {name for name, _ in machine.objects.reads}


async def test_a_cancelled_fetch_leaves_nothing_that_counts(machine: Machine) -> None:
    models = await machine.models()
    machine.objects.open.clear()
    task = asyncio.create_task(machine.fetch(models))
    async with asyncio.timeout(5):
        await machine.objects.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (machine.folder / models.key).exists()
    machine.objects.open.set()
    assert len(contents(await machine.fetch(models))) == 3


async def test_damage_on_the_way_is_noticed(machine: Machine) -> None:
    models = await machine.models()
    machine.objects.damaged = 1
    with pytest.raises(ObjectsUnreachable, match=r"was damaged on its way: try again later\.$"):
        await machine.fetch(models)
    assert len(contents(await machine.fetch(models))) == 3


async def test_a_tag_that_only_looks_like_an_md5_is_accepted(machine: Machine) -> None:
    for name, (info, content) in [*machine.objects.kept.items()]:
        machine.objects.kept[name] = (replace(info, tag="0" * 32), content)
    assert len(contents(await machine.fetch(await machine.models()))) == 3


async def test_a_full_disk_is_reported_before(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESERVE", 2**62)
    with pytest.raises(
        ObjectsRefused, match=r"has [\d,]+ MiB left, and the models need 1 MiB: free some space\.$"
    ):
        await machine.fetch(await machine.models())


async def test_unused_models_beyond_the_limit_are_removed(machine: Machine) -> None:
    keys: list[str] = []
    for number in range(3):
        await machine.objects.put("a", bytes([number]) * 35)
        models = await machine.models()
        os.utime(await machine.fetch(models), (number, number))
        keys.append(models.key)
    assert await machine.cache.sweep([], 10**6) == []
    assert await machine.cache.sweep([keys[0]], 100) == [keys[1]]
    assert await machine.cache.sweep([keys[0]], 0) == [keys[2]]
    assert {path.name for path in machine.folder.iterdir()} == {keys[0]}


async def test_old_leftovers_are_removed(machine: Machine) -> None:
    old, young = machine.folder / f".unfinished-{'0' * 32}", machine.folder / f".unfinished-{'1' * 32}"
    for folder in (old, young):
        folder.mkdir(parents=True)
    before = time.time() - LEFTOVER - 60
    os.utime(old, (before, before))
    await machine.cache.sweep([], 0)
    assert [path.name for path in machine.folder.iterdir()] == [young.name]


cached = st.lists(
    st.builds(
        CachedModels, st.text("abcdef", min_size=1, max_size=3), st.integers(0, 100), st.floats(0, 100)
    ),
    unique_by=lambda each: each.key,
)


@given(cached, st.sets(st.text("abcdef", min_size=1, max_size=3)), st.integers(0, 300))
def test_only_what_is_unused_and_too_much_is_removed(
    cached: list[CachedModels], in_use: set[str], limit: int
) -> None:
    removed = models_to_remove(cached, in_use, limit)
    assert not in_use & {*removed}
    left = [each for each in cached if each.key not in removed]
    assert sum(each.size for each in left) <= limit or all(each.key in in_use for each in left)
    if removed:
        last = next(each for each in cached if each.key == removed[-1])
        assert sum(each.size for each in left) + last.size > limit
