"""Private headers with the real Envoy: no server without the runtime in front gets any, on no path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.contract.replica import PRIVATE_HEADERS
from gyrus.gate.activator import Activator
from gyrus.routing.resources.private_headers import BRIDGED, BRIDGED_HEADER
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import Endpoints, Pool, QueuePolicy, Route, WeightedPool
from support.http2_upstream import Http2Upstream
from support.routes import route_to
from support.upstreams import Request, Stage, Upstream, answer, free_port, until, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "of-this-platform"
QUEUEING = QueuePolicy(slots=None, longest_queue=0, processes=1, replicas=1, hold=20.0, generation=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    settings = GatewaySettings(port=free_port(), concurrency=1, requeue_secret=SECRET)
    async with Stage(tmp_path_factory.mktemp("home"), settings).running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def activator(stage: Stage) -> AsyncGenerator[Activator]:
    gate = Activator(stage.board, stage.home.activator_socket, SystemClock(), requeue_secret=SECRET)
    async with gate.serving() as serving:
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


def private(headers: Mapping[str, str]) -> list[str]:
    return [name for name in headers if name.startswith(PRIVATE_HEADERS)]


def seen(upstream: Upstream) -> list[str]:
    return [name for request in upstream.requests for name in private(request.headers)]


async def settled(stage: Stage, route: Route) -> str:
    stage.board.routes[route.api] = route
    stage.board.route_signals.notify(route.api)
    await until(lambda: stage.board.acknowledged.get(route.api) == wanted(route))
    return stage.url + route.path


def of_servers(api: str, fallback: Endpoints) -> Pool:
    """A pool of servers without the runtime that has lost its replicas."""
    return Pool(api=api, generation=2, revision=2, runtime_answers=False, protocol="http2", fallback=fallback)


def server(api: str, *endpoints: str, activator: Activator | None = None, **changes: Any) -> Route:
    """A route to servers without the runtime in front, or to the activator."""
    at = activator.endpoint if activator else None
    given: dict[str, Any] = {"runtime_answers": False, "queueing": QUEUEING, "timeout": 20.0, **changes}
    return route_to(api, endpoints or [str(at)], activator=at, **given)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("size", [10, 300_000])
async def test_server_gets_no_private_header(
    stage: Stage, client: httpx.AsyncClient, method: str, size: int
) -> None:
    async with stage.upstream("plain").serving() as upstream:
        url = await settled(stage, server("plain", upstream.endpoint))
        claim = {"x-gyrus-api": "other"}
        answered = await client.request(method, url, content=b"x" * size, headers=claim)
        assert answered.status_code == 200
        assert len(upstream.requests) == 1
        assert seen(upstream) == []
        await stage.forget("plain")


@dataclass
class HangsUp:
    """Break the first connections, and answer the later requests."""

    number: int

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        del request
        self.number -= 1
        if self.number >= 0:
            writer.transport.abort()
        else:
            writer.write(answer(200, b"done"))


async def test_later_tries_find_their_pool_without_a_header(stage: Stage, client: httpx.AsyncClient) -> None:
    """The third try goes through the second pass, which reads the pool from a header."""
    async with stage.upstream("shaky", HangsUp(2)).serving() as upstream:
        url = await settled(stage, server("shaky", upstream.endpoint))
        assert (await client.get(url)).status_code == 200
        assert len(upstream.requests) == 3
        assert seen(upstream) == []
        await stage.forget("shaky")


async def test_later_tries_in_a_mixed_route_find_a_pool(stage: Stage, client: httpx.AsyncClient) -> None:
    """An update from a handler to a process: the first try loses the headers that the second pass needs."""
    async with stage.upstream("new", HangsUp(2)).serving() as new, stage.upstream("old").serving() as old:
        [share] = server("mixed", new.endpoint).shares
        target = replace(share, pool=replace(share.pool, generation=2), weight=9_999)
        handler = Pool(api="mixed", generation=1, revision=1, replicas=frozenset({old.endpoint}))
        route = Route(
            api="mixed", path="/mixed", shares=(target, WeightedPool(pool=handler, weight=1)), timeout=20.0
        )
        url = await settled(stage, route)
        await until_first(client, url, new)
        assert seen(new) == []
        await stage.forget("mixed")


async def until_first(client: httpx.AsyncClient, url: str, upstream: Upstream) -> None:
    """Send requests until this server has had one."""
    for _ in range(20):
        assert (await client.get(url)).status_code == 200
        if upstream.requests:
            return
    raise AssertionError("the weights lead elsewhere")


@pytest.mark.parametrize("kind", ["get", "kept", "passed on"])
async def test_held_requests_reach_the_server_without_private_headers(
    stage: Stage, activator: Activator, client: httpx.AsyncClient, kind: str
) -> None:
    url = await settled(stage, server("cold", activator=activator))

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await until(lambda: released)
        yield b"y" * 1000

    released = False
    content = {"get": None, "kept": b"x" * 2000, "passed on": endless()}[kind]
    asked = asyncio.create_task(client.request("GET" if kind == "get" else "POST", url, content=content))
    await until(lambda: stage.board.held.get("cold") == 1)
    async with stage.upstream("cold-1").serving() as upstream:
        await settled(stage, server("cold", upstream.endpoint))
        await until(lambda: not stage.board.held.get("cold"))
        released = True
        answered = await asked
        assert answered.status_code == 200
        assert answered.json()["length"] == (0 if kind == "get" else 2000)
        assert seen(upstream) == []
        await stage.forget("cold")


async def test_held_requests_keep_their_order(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    url = await settled(stage, server("order", activator=activator))
    asked: list[asyncio.Task[httpx.Response]] = []
    for number in range(20):
        asked.append(asyncio.create_task(client.get(f"{url}/{number}")))
        await until(lambda number=number: stage.board.held.get("order") == number + 1)
    async with stage.upstream("order-1").serving() as upstream:
        await settled(stage, server("order", upstream.endpoint))
        assert {each.status_code for each in await asyncio.gather(*asked)} == {200}
        came = [int(each.target[1:]) for each in upstream.requests]
        assert max(abs(place - number) for place, number in enumerate(came)) <= 5
        await stage.forget("order")


async def test_server_that_dies_leaves_its_request_to_the_activator(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    """A try at the server has removed the headers by which the activator knows the API."""

    async def vanish(request: Request, writer: asyncio.StreamWriter) -> None:
        del request
        await settled(stage, server("vanishes", activator=activator))
        writer.transport.abort()

    async with stage.upstream("vanishes", vanish).serving() as upstream:
        url = await settled(stage, server("vanishes", upstream.endpoint))
        asked = asyncio.create_task(client.get(url))
        await until(lambda: stage.board.held.get("vanishes") == 1)
    async with stage.upstream("vanishes-2").serving() as second:
        await settled(stage, server("vanishes", second.endpoint))
        assert (await asked).status_code == 200
        assert seen(upstream) == seen(second) == []
        await stage.forget("vanishes")


async def test_requests_cross_the_bridge_between_two_servers(stage: Stage) -> None:
    """An update from a server of HTTP/2 to one of HTTP/1, of which the older has no replica left."""
    async with stage.upstream("one").serving() as one:
        [share] = server("bridged", one.endpoint).shares
        bridge = frozenset({stage.board.bridge or ""})
        old = Pool(
            api="bridged", generation=2, revision=2, runtime_answers=False, protocol="http2", fallback=bridge
        )
        shares = (WeightedPool(pool=old, weight=9_999), replace(share, weight=1))
        url = await settled(stage, Route(api="bridged", path="/bridged", shares=shares, timeout=5.0))
        async with httpx.AsyncClient(http1=False, http2=True) as client:
            for method in ("GET", "POST"):
                answered = await client.request(method, url + "/deep", content=b"xyz")
                assert answered.json()["target"] == "/deep"
        assert len(one.requests) == 2
        assert seen(one) == []
        await stage.forget("bridged")


async def test_server_of_http2_gets_no_private_header(stage: Stage, client: httpx.AsyncClient) -> None:
    async with Http2Upstream("two", stage.home.run / "two.sock").serving() as two:
        url = await settled(stage, server("two", two.endpoint, protocol="http2", queueing=None))
        assert (await client.get(url)).status_code == 200
        assert [private(headers) for headers in two.requests] == [[]]
        await stage.forget("two")


async def test_mark_of_the_bridge_survives_a_pool_that_leads_back_to_it(stage: Stage) -> None:
    """Both pools lead to the bridge for a moment: the request must be requeued there, not turn in circles."""
    bridge = frozenset({stage.board.bridge or ""})
    newer = Pool(
        api="turns", generation=2, revision=2, runtime_answers=False, protocol="http2", fallback=bridge
    )
    # Control never writes a replica that is the bridge. It stands for a pool that loses its last replica
    # before the bridge's table changes.
    older = Pool(api="turns", generation=1, revision=1, runtime_answers=False, replicas=bridge)
    shares = (WeightedPool(pool=newer, weight=10_000), WeightedPool(pool=older, weight=0))
    url = await settled(stage, Route(api="turns", path="/turns", shares=shares, timeout=1.0))
    async with httpx.AsyncClient(timeout=30) as client:
        answered = await client.post(url, content=b"x", headers={BRIDGED_HEADER: BRIDGED})
    assert answered.status_code in (503, 504)
    await stage.forget("turns")
