from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.contract.operator import ApiView
from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.server import api_list
from gyrus.server.api_list import RENDER_EVERY, ApiList
from gyrus.server.context import ServerContext
from gyrus.server.views import Views
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board, Replica, Traffic
from gyrus.state.errors import StoreUnusable
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api

START = datetime(2030, 1, 1, tzinfo=UTC)


class CountingViews(Views):
    """Counts what is rendered."""

    def __init__(self, context: ServerContext) -> None:
        super().__init__(context)
        self.rendered: list[str] = []

    async def see(self, api: Api) -> ApiView:
        self.rendered.append(api.name)
        return await super().see(api)


class Flickering(MemoryStore):
    broken = False

    async def api(self, name: str) -> Api | None:
        if self.broken:
            raise StoreUnusable("the database is away")
        return await super().api(name)


@dataclass
class Listed:
    """Three APIs, and their list, which has been read once."""

    store: Flickering
    board: Board
    clock: VirtualClock
    views: CountingViews
    list: ApiList

    async def become(self, name: str, phase: Phase) -> None:
        status = ReplicaStatus(id=f"{name}-1-abcde", api=name, revision=1, phase=phase)
        self.board.replicas[name] = (Replica(status=status, generation=1),)
        self.board.replica_signals.notify(name)

    async def delete(self, name: str) -> None:
        await self.store.mark_deleting(name, START)
        await self.store.remove(name)
        self.board.replica_signals.notify(name)

    def newer(self, version: int) -> tuple[list[str], list[str]]:
        """Names of what has changed since, and of what is gone."""
        changes: Any = orjson.loads(self.list.since(version) or b"null")
        return sorted(api["name"] for api in changes["apis"]), changes["gone"]

    def whole(self) -> list[dict[str, Any]]:
        return orjson.loads(self.list.whole())


@pytest.fixture
async def listed(context: ServerContext, board: Board) -> Listed:
    store, clock = Flickering(), VirtualClock()
    specs = [
        RealtimeSpec.model_validate({"name": name, "process": {"command": ["serve"]}})
        for name in ("a", "b", "c")
    ]
    await store.deploy(specs, None, START)
    context = replace(context, store=store, clock=clock)
    views = CountingViews(context)
    listed = Listed(store, board, clock, views, ApiList(context, views))
    await listed.list.refresh()
    assert [api["name"] for api in listed.whole()] == ["a", "b", "c"]
    views.rendered.clear()
    return listed


async def test_a_change_is_rendered_once_for_all_readers(listed: Listed) -> None:
    before = await listed.list.refresh()
    await listed.become("b", Phase.READY)
    assert [await listed.list.refresh() for _ in range(20)] == [before + 1] * 20
    assert listed.views.rendered == ["b"]
    assert listed.list.since(before) is listed.list.since(before)
    assert listed.newer(before) == (["b"], [])
    assert [api["replicas"]["ready"] for api in listed.whole()] == [0, 1, 0]


async def test_what_looks_as_before_is_no_change(listed: Listed) -> None:
    before = await listed.list.refresh()
    listed.board.acknowledged_signals.notify("a", "unknown")
    assert await listed.list.refresh() == before


async def test_each_reader_gets_what_it_has_not_read(listed: Listed) -> None:
    first = await listed.list.refresh()
    await listed.become("a", Phase.READY)
    second = await listed.list.refresh()
    await listed.delete("b")
    await listed.become("c", Phase.READY)
    await listed.list.refresh()
    assert listed.newer(second) == (["c"], ["b"])
    assert listed.newer(first) == (["a", "c"], ["b"])
    assert [api["name"] for api in listed.whole()] == ["a", "c"]


async def test_one_that_comes_again_is_not_gone(listed: Listed) -> None:
    before = await listed.list.refresh()
    await listed.delete("b")
    await listed.list.refresh()
    await listed.store.deploy(
        [RealtimeSpec.model_validate({"name": "b", "process": {"command": ["serve"]}})], None, START
    )
    listed.board.intent_signals.notify("b")
    await listed.list.refresh()
    assert listed.newer(before) == (["b"], [])


async def test_what_has_no_signal_is_rendered_every_so_often(listed: Listed) -> None:
    before = await listed.list.refresh()
    listed.board.traffic["c"] = Traffic(in_flight=3)
    await listed.clock.advance(RENDER_EVERY - 1)
    assert await listed.list.refresh() == before
    await listed.clock.advance(1)
    await listed.list.refresh()
    assert listed.newer(before) == (["c"], [])


async def test_the_gateways_fault_concerns_all(listed: Listed) -> None:
    before = await listed.list.refresh()
    listed.board.gateway, listed.board.gateway_message = "down", "it was stopped"
    listed.board.gateway_signals.notify("down")
    await listed.list.refresh()
    assert sorted(listed.views.rendered) == ["a", "b", "c"]
    assert listed.list.since(before)


async def test_a_reader_from_long_ago_needs_the_whole_list(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_list, "MOST_GONE", 1)
    before = await listed.list.refresh()
    await listed.delete("a")
    await listed.list.refresh()
    await listed.delete("b")
    version = await listed.list.refresh()
    assert listed.list.since(before) is None
    assert listed.newer(version) == ([], [])


async def test_no_change_is_lost_when_the_store_was_away(listed: Listed) -> None:
    before = await listed.list.refresh()
    await listed.become("b", Phase.READY)
    listed.store.broken = True
    with pytest.raises(StoreUnusable):
        await listed.list.refresh()
    listed.store.broken = False
    await listed.list.refresh()
    assert listed.newer(before) == (["b"], [])
