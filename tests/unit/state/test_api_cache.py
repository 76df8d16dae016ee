from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.api_cache import MANY, RELIST, ApiCache
from gyrus.state.errors import StoreUnusable
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api

START = datetime(2030, 1, 1, tzinfo=UTC)


class CountingStore(MemoryStore):
    """Count what is read, and fail on request."""

    broken = False

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def apis(self) -> tuple[Api, ...]:
        self._note("*")
        return await super().apis()

    async def api(self, name: str) -> Api | None:
        self._note(name)
        return await super().api(name)

    def _note(self, name: str) -> None:
        if self.broken:
            raise StoreUnusable("the database is away")
        self.read.append(name)


@pytest.fixture
async def store() -> CountingStore:
    store = CountingStore()
    specs = [
        RealtimeSpec.model_validate({"name": name, "process": {"command": ["serve"]}})
        for name in ("a", "b", "c")
    ]
    await store.deploy(specs, None, START)
    return store


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def cache(store: CountingStore, clock: VirtualClock) -> ApiCache:
    cache = ApiCache(store, clock)
    assert [*await cache.refresh()] == ["a", "b", "c"]
    store.read.clear()
    return cache


async def test_only_what_has_changed_is_read_again(cache: ApiCache, store: CountingStore) -> None:
    api = await MemoryStore.api(store, "b")
    assert api
    await store.scale(api, 7)
    cache.invalidate(["b"])
    records = await cache.refresh()
    assert records["b"].replicas == 7
    assert store.read == ["b"]
    await cache.refresh()
    assert store.read == ["b"]


async def test_what_is_removed_is_forgotten(cache: ApiCache, store: CountingStore) -> None:
    await store.mark_deleting("c", START)
    await store.remove("c")
    cache.invalidate(["c"])
    assert [*await cache.refresh()] == ["a", "b"]


async def test_all_are_read_every_so_often(
    cache: ApiCache, store: CountingStore, clock: VirtualClock
) -> None:
    await clock.advance(RELIST - 1)
    await cache.refresh()
    assert not store.read
    await clock.advance(1)
    await cache.refresh()
    assert store.read == ["*"]


async def test_many_changes_are_read_as_one_list(cache: ApiCache, store: CountingStore) -> None:
    cache.invalidate(f"api-{number}" for number in range(MANY))
    await cache.refresh()
    assert store.read == ["*"]


async def test_a_store_that_was_away_is_read_again(cache: ApiCache, store: CountingStore) -> None:
    cache.invalidate(["a"])
    store.broken = True
    with pytest.raises(StoreUnusable):
        await cache.refresh()
    store.broken = False
    await cache.refresh()
    assert store.read == ["a"]
