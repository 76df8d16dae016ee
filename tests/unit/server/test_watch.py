from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from gyrus.aio.virtual import VirtualClock
from gyrus.contract.operator import TrafficView
from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.server.app import build_app, closing
from gyrus.server.context import ServerContext
from gyrus.server.watch import KEEP_ALIVE
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board, Replica, Traffic
from gyrus.state.memory import MemoryStore
from gyrus.state.sql.store import SqlStore

START = datetime(2030, 1, 1, tzinfo=UTC)
Events = AsyncIterator[tuple[str, Any]]


def spec(name: str = "iris", **fields: Any) -> RealtimeSpec:
    return RealtimeSpec.model_validate({"name": name, "process": {"command": ["serve"]}, **fields})


def replica(phase: Phase) -> Replica:
    status = ReplicaStatus(id="iris-1-abcde", api="iris", revision=1, phase=phase, endpoints=("unix:/a",))
    return Replica(status=status, generation=1)


@asynccontextmanager
async def watching(client: httpx.AsyncClient, *names: str, **options: str) -> AsyncGenerator[Events]:
    """(event, data) as they come."""
    async with client.stream("GET", "/watch", params={"name": list(names), **options}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


async def _events(response: httpx.Response) -> Events:
    kind = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            yield kind, json.loads(value)


async def test_at_once_and_at_every_change(remote: httpx.AsyncClient, store: SqlStore, board: Board) -> None:
    await store.deploy([spec()], None, START)
    async with watching(remote, "iris") as events:
        kind, reported = await anext(events)
        assert (kind, reported["api"]["name"], reported["replicas"]) == ("api", "iris", [])

        board.replicas["iris"] = (replica(Phase.READY),)
        board.replica_signals.notify("iris")
        _, reported = await anext(events)
        assert (reported["replicas"][0]["status"]["phase"], reported["replicas"][0]["routed"]) == (
            "ready",
            False,
        )

        board.acknowledged["iris"] = {"iris/1": frozenset({"unix:/a"})}
        board.acknowledged_signals.notify("iris")
        _, reported = await anext(events)
        assert reported["replicas"][0]["routed"]

        await remote.post("/apis/iris/refresh")
        _, reported = await anext(events)
        assert reported["rollout"]["generation"] == 2


async def test_what_did_not_change_is_not_reported(
    remote: httpx.AsyncClient, store: SqlStore, board: Board
) -> None:
    await store.deploy([spec()], None, START)
    async with watching(remote, "iris") as events:
        await anext(events)
        board.replica_signals.notify("iris", "other")
        upcoming = asyncio.ensure_future(anext(events))
        done, _ = await asyncio.wait([upcoming], timeout=0.3)
        assert not done
        board.replicas["iris"] = (replica(Phase.STARTING),)
        board.replica_signals.notify("iris")
        _, reported = await upcoming
        assert reported["replicas"][0]["status"]["phase"] == "starting"


async def test_several_and_one_that_is_gone(remote: httpx.AsyncClient, store: SqlStore, board: Board) -> None:
    await store.deploy([spec("a")], None, START)
    async with watching(remote, "a", "b") as events:
        assert [await anext(events), await anext(events)][1] == ("gone", {"name": "b"})
        await store.deploy([spec("b")], None, START)
        board.intent_signals.notify("b")
        kind, reported = await anext(events)
        assert (kind, reported["api"]["name"]) == ("api", "b")
        await remote.delete("/apis/a")
        kind, reported = await anext(events)
        assert reported["api"]["status"] == "deleting"
        await store.remove("a")
        board.replica_signals.notify("a")
        assert await anext(events) == ("gone", {"name": "a"})


async def test_the_list_of_all(remote: httpx.AsyncClient, store: SqlStore, board: Board) -> None:
    async with watching(remote) as events:
        assert await anext(events) == ("apis", [])
        await store.deploy([spec("a"), spec("b")], None, START)
        board.intent_signals.notify("a", "b")
        kind, reported = await anext(events)
        assert (kind, [api["name"] for api in reported]) == ("apis", ["a", "b"])


async def test_changes_of_the_list_of_all(remote: httpx.AsyncClient, store: SqlStore, board: Board) -> None:
    await store.deploy([spec("a"), spec("b")], None, START)
    async with watching(remote, changes="true") as events:
        kind, reported = await anext(events)
        assert (kind, [api["name"] for api in reported]) == ("apis", ["a", "b"])
        await store.deploy([spec("c")], None, START)
        board.intent_signals.notify("c")
        kind, reported = await anext(events)
        assert (kind, [api["name"] for api in reported["apis"]], reported["gone"]) == ("changes", ["c"], [])
        await store.mark_deleting("a", START)
        await store.remove("a")
        board.replica_signals.notify("a")
        assert await anext(events) == ("changes", {"apis": [], "gone": ["a"]})


class Listening:
    """A client on the other end of an ASGI call, that takes chunks when it likes."""

    def __init__(self, app: FastAPI, query: str, token: str) -> None:
        self.chunks: list[bytes] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.ended = False
        self._gone = asyncio.Event()
        self._app = app
        self._scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/v1/watch",
            "raw_path": b"/v1/watch",
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer " + token.encode())],
        }

    async def run(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    def go_away(self) -> None:
        self._gone.set()

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.may_send.wait()
            self.chunks.append(message["body"])
            self.ended = not message.get("more_body", False)

    def phases(self) -> list[str]:
        """Return the reports about the one replica."""
        data = (json.loads(chunk.split(b"data: ")[1]) for chunk in self.chunks if b"data: " in chunk)
        return [replica["status"]["phase"] for reported in data for replica in reported["replicas"]]


class TestWithoutANetwork:
    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    @pytest.fixture
    async def app(self, context: ServerContext, clock: VirtualClock) -> FastAPI:
        store = MemoryStore()
        await store.deploy([spec()], None, START)
        return build_app(replace(context, store=store, clock=clock))

    @pytest.fixture
    async def listening(self, app: FastAPI, context: ServerContext) -> AsyncIterator[Listening]:
        listening = Listening(app, "name=iris", context.token or "")
        async with asyncio.TaskGroup() as group:
            group.create_task(listening.run(), name="listening")
            yield listening
            listening.go_away()

    async def test_a_slow_client_gets_the_latest_only(
        self, listening: Listening, clock: VirtualClock, board: Board
    ) -> None:
        await clock.advance(1)
        listening.may_send.clear()
        for phase in (Phase.PENDING, Phase.BUILDING, Phase.STARTING, Phase.UNREADY, Phase.READY):
            board.replicas["iris"] = (replica(phase),)
            board.replica_signals.notify("iris")
            await clock.advance(1)
        listening.may_send.set()
        await clock.advance(1)
        assert listening.phases() == ["pending", "ready"]

    async def test_silence_is_broken_by_a_comment(self, listening: Listening, clock: VirtualClock) -> None:
        await clock.advance(KEEP_ALIVE - 1)
        assert len(listening.chunks) == 1
        await clock.advance(2)
        assert listening.chunks[1:] == [b": still here\n\n"]

    async def test_what_sends_no_signal_is_reported_then(
        self, listening: Listening, clock: VirtualClock, board: Board
    ) -> None:
        await clock.advance(1)
        board.traffic["iris"] = Traffic(in_flight=3, view=TrafficView(requests=5))
        await clock.advance(KEEP_ALIVE)
        assert b'"in_flight":3' in listening.chunks[-1]

    async def test_it_ends_with_the_server(
        self, listening: Listening, clock: VirtualClock, app: FastAPI
    ) -> None:
        await clock.advance(1)
        closing(app).set()
        await clock.settle()
        assert listening.ended

    async def test_it_ends_with_the_client(
        self, listening: Listening, clock: VirtualClock, board: Board
    ) -> None:
        await clock.advance(1)
        listening.go_away()
        await clock.settle()
        chunks = len(listening.chunks)
        board.replicas["iris"] = (replica(Phase.READY),)
        board.replica_signals.notify("iris")
        await clock.advance(1)
        assert len(listening.chunks) == chunks
        assert clock.next_wake is None


async def test_the_list_is_reported_at_most_once_a_second(context: ServerContext, board: Board) -> None:
    clock, store = VirtualClock(), MemoryStore()
    await store.deploy([spec()], None, START)
    app = build_app(replace(context, store=store, clock=clock))
    watchers = [Listening(app, "changes=true", context.token or "") for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        for watcher in watchers:
            group.create_task(watcher.run(), name="listening")
        await clock.settle()
        for number in range(50):
            board.traffic["iris"] = Traffic(in_flight=number + 1)
            board.replica_signals.notify("iris")
            await clock.advance(0.05)
        for watcher in watchers:
            assert len(watcher.chunks) == 1 + 2
            watcher.go_away()


async def test_a_client_that_goes_away_is_no_longer_served(
    remote: httpx.AsyncClient,
    store: SqlStore,
    board: Board,
    eventually: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    await store.deploy([spec()], None, START)
    async with watching(remote, "iris") as events:
        await anext(events)
        assert tasks("_send") or tasks("content")
    await eventually(lambda: not tasks("content"))


def tasks(name: str) -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if name in task.get_name()]
