"""The gateway with the real Envoy, in front of small real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import grpc.aio
import httpx
import pytest
import pytest_asyncio
import websockets.asyncio.client
import websockets.asyncio.server

from gyrus.contract.problem import MEDIA_TYPE
from gyrus.routing.errors import PortTaken
from gyrus.routing.settings import AccessLog, GatewayFiles, GatewaySettings
from support.load import Load
from support.upstreams import Request, Stage, Upstream, answer, free_port, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    async with Stage(tmp_path_factory.mktemp("home")).running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def echo(stage: Stage) -> AsyncGenerator[Upstream]:
    async with stage.upstream("echo").serving() as upstream:
        await stage.route("iris", upstream)
        yield upstream


def raw(url: str, target: str) -> httpx.URL:
    """A URL whose path is sent as it is written."""
    return httpx.URL(url).copy_with(raw_path=target.encode())


# routes


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/iris", "/"),
        ("/iris/", "/"),
        ("/iris?q=1", "/?q=1"),
        ("/iris/?q=1", "/?q=1"),
        ("/iris/sub", "/sub"),
        ("/iris/sub/er?q=1", "/sub/er?q=1"),
        ("/iris/openapi.json", "/openapi.json"),
        ("/iris//double", "//double"),
        ("/iris/healthzone", "/healthzone"),
        ("/iris/-", "/-"),
    ],
)
async def test_path_is_stripped(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream, target: str, seen: str
) -> None:
    answered = await client.get(raw(stage.url, target))
    assert answered.json()["target"] == seen
    assert answered.json()["upstream"] == "echo"


@pytest.mark.parametrize(
    "target",
    ["/", "/irises", "/iri", "/other", "/other/iris", "/iris.", "/%69ri", "/iris%2fsub", "/iris/../other"],
)
async def test_unknown_api_is_a_problem_that_names_it(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream, target: str
) -> None:
    answered = await client.get(raw(stage.url, target), headers={"x-request-id": "mine"})
    assert answered.status_code == 404
    assert answered.headers["content-type"] == MEDIA_TYPE
    assert answered.headers["x-request-id"] == "mine"
    problem = answered.json()
    assert problem["type"] == "urn:gyrus:problem:unknown-api"
    assert problem["status"] == 404
    assert problem["instance"] == "urn:gyrus:request:mine"
    assert "There is no API at /" in problem["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "healthz",
        "readyz",
        "metrics",
        "-/requeue",
        "-/",
        "x/../healthz",
        "%68ealthz",
        "healthz?q",
        "./-/requeue",
    ],
)
async def test_internal_paths_do_not_exist_outside(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream, path: str
) -> None:
    before = len(echo.requests)
    answered = await client.post(raw(stage.url, f"/iris/{path}"), headers={"x-gyrus-internal": "1"})
    assert answered.status_code == 404
    assert answered.json()["type"] == "urn:gyrus:problem:not-found"
    assert len(echo.requests) == before


async def test_longest_path_wins_by_segments(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("outer").serving() as outer, stage.upstream("inner").serving() as inner:
        await stage.route("outer", outer, path="/a")
        await stage.route("inner", inner, path="/a/b")
        seen = {
            path: [(await client.get(stage.url + path)).json()[key] for key in ("upstream", "target")]
            for path in ("/a", "/a/b", "/a/bc", "/a/b/c", "/a/c")
        }
        assert seen == {
            "/a": ["outer", "/"],
            "/a/b": ["inner", "/"],
            "/a/bc": ["outer", "/bc"],
            "/a/b/c": ["inner", "/c"],
            "/a/c": ["outer", "/c"],
        }
        await stage.forget("inner")
        assert (await client.get(stage.url + "/a/b")).json()["upstream"] == "outer"
        await stage.forget("outer")


async def test_headers_on_the_way(stage: Stage, client: httpx.AsyncClient, echo: Upstream) -> None:
    sent = {
        "x-request-id": "abc",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x-gyrus-internal": "1",
        "x-gyrus-requeue": "1",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-max-retries": "0",
    }
    answered = await client.get(f"{stage.url}/iris", headers=sent)
    seen = answered.json()["headers"]
    assert seen["x-request-id"] == answered.headers["x-request-id"] == "abc"
    assert seen["traceparent"] == sent["traceparent"]
    assert not [name for name in seen if name.startswith("x-gyrus")]
    assert not {"x-envoy-upstream-rq-timeout-ms", "x-envoy-max-retries"} & seen.keys()
    assert answered.headers["server"] == "gyrus"
    made = await client.get(f"{stage.url}/iris")
    assert made.headers["x-request-id"] == made.json()["headers"]["x-request-id"] != "abc"


async def test_no_replica_is_503_with_retry_after(stage: Stage, client: httpx.AsyncClient) -> None:
    url = await stage.route("empty")
    answered = await client.post(url)
    assert answered.status_code == 503
    assert answered.headers["retry-after"] == "1"
    assert answered.json()["type"] == "urn:gyrus:problem:no-replica"
    assert "API empty has no replica that is ready" in answered.json()["detail"]


async def test_replica_that_does_not_listen_disturbs_nobody(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    url = await stage.route("absent", stage.upstream("absent"))
    waiting = asyncio.create_task(client.post(url, timeout=0.5))
    assert (await client.get(f"{stage.url}/iris")).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        await waiting
    await stage.forget("absent")


# protocols


async def test_http2_by_prior_knowledge(stage: Stage, echo: Upstream) -> None:
    async with httpx.AsyncClient(http1=False, http2=True) as client:
        answered = await client.post(f"{stage.url}/iris/x", content=b"12345")
    assert answered.http_version == "HTTP/2"
    assert answered.json()["target"] == "/x"
    assert answered.json()["length"] == 5


async def test_websocket(stage: Stage) -> None:
    async def mirror(connection: websockets.asyncio.server.ServerConnection) -> None:
        assert connection.request
        await connection.send(connection.request.path)
        async for message in connection:
            await connection.send(message)

    path = str(stage.home.run / "ws.sock")
    async with websockets.asyncio.server.unix_serve(mirror, path):
        await stage.route("chat", f"unix:{path}")
        url = f"ws://127.0.0.1:{stage.settings.port}/chat/room?q=1"
        async with websockets.asyncio.client.connect(url) as connection:
            assert await connection.recv() == "/room?q=1"
            await connection.send("hello")
            assert await connection.recv() == "hello"
        await stage.forget("chat")


async def test_grpc_by_header_and_by_path(stage: Stage, client: httpx.AsyncClient, echo: Upstream) -> None:
    def reverse(request: bytes, context: object) -> bytes:
        return request[::-1]

    async def count(requests: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        async for request in context:  # pyright: ignore
            await context.write(request)

    server = grpc.aio.server()
    methods = {"Reverse": grpc.unary_unary_rpc_method_handler(reverse)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("iris.Words", methods),))
    path = str(stage.home.run / "grpc.sock")
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await stage.route("words", f"unix:{path}", protocol="http2")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{stage.settings.port}") as channel:
        call = channel.unary_unary("/iris.Words/Reverse")
        assert await call(b"abc", metadata=(("gyrus-api", "words"),)) == b"cba"
        assert await channel.unary_unary("/words/iris.Words/Reverse")(b"abc") == b"cba"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"abc")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert (await client.get(f"{stage.url}/iris")).json()["upstream"] == "echo"
    await server.stop(0)
    await stage.forget("words")
    assert (await client.get(f"{stage.url}/iris")).json()["upstream"] == "echo"


# time


async def test_stream_goes_on_beyond_the_timeout(stage: Stage, client: httpx.AsyncClient) -> None:
    async def stream(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for number in range(9):
            writer.write(b"b\r\ndata: %03d\n\n\r\n" % number)
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")

    async with stage.upstream("events", stream).serving() as upstream:
        url = await stage.route("events", upstream, timeout=0.1)
        times: list[float] = []
        async with client.stream("GET", url) as answered:
            async for _ in answered.aiter_raw():
                times.append(time.monotonic())
    assert len(times) >= 9
    assert times[-1] - times[0] > 0.6
    await stage.forget("events")


async def test_answer_that_does_not_begin_is_504(stage: Stage, client: httpx.AsyncClient) -> None:
    async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with stage.upstream("hang", hang).serving() as upstream:
        url = await stage.route("hang", upstream, timeout=0.1)
        answered = await client.post(url, content=b"{}")
        assert answered.status_code == 504
        assert answered.json()["type"] == "urn:gyrus:problem:timeout"
        assert len(upstream.requests) == 1
        await stage.forget("hang")


# again


class GivesBack:
    """Gives back what it gets, so many times, then answers."""

    def __init__(self, upstream: Upstream, times: int) -> None:
        self.left = times
        self._upstream = upstream

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.left:
            self.left -= 1
            writer.write(answer(503, b"", x_gyrus_requeue="1"))
        else:
            await self._upstream.echo(request, writer)


@pytest.mark.parametrize("size", [20, 11 * 1024 * 1024])
async def test_request_given_back_goes_elsewhere(stage: Stage, client: httpx.AsyncClient, size: int) -> None:
    async with stage.upstream("full").serving() as full, stage.upstream("free").serving() as free:
        full.behave = GivesBack(full, 1000)
        url = await stage.route("moved", full, free)
        for _ in range(4):
            answered = await client.post(url, content=b"x" * size)
            assert answered.status_code == 200
            assert answered.json()["upstream"] == "free"
            assert answered.json()["length"] == size
        assert full.requests
        await stage.forget("moved")


async def test_request_given_back_thirty_times_is_answered(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("again").serving() as upstream:
        upstream.behave = GivesBack(upstream, 30)
        url = await stage.route("again", upstream)
        answered = await client.post(url, content=b"{}")
        assert answered.status_code == 200
        assert "x-gyrus-requeue" not in answered.headers
        assert len(upstream.requests) == 31
        await stage.forget("again")


async def test_long_body_is_passed_on_and_tried_once(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("long").serving() as upstream:
        url = await stage.route("long", upstream)
        size = stage.settings.retry_body + 1024 * 1024
        answered = await client.post(url, content=b"x" * size)
        assert answered.json()["length"] == size
        upstream.behave = GivesBack(upstream, 1)
        answered = await client.post(url, content=b"x" * size)
        assert answered.status_code == 503
        assert "x-gyrus-requeue" not in answered.headers
        await stage.forget("long")


@pytest.mark.parametrize(
    ("method", "idempotent", "status"),
    [
        ("GET", False, 200),
        ("HEAD", False, 200),
        ("POST", True, 200),
        ("POST", False, 502),
        ("PUT", False, 502),
    ],
)
async def test_broken_connection_is_tried_again_where_that_is_safe(
    stage: Stage, client: httpx.AsyncClient, method: str, idempotent: bool, status: int
) -> None:
    async with stage.upstream("breaks").serving() as upstream:

        async def break_once(request: Request, writer: asyncio.StreamWriter) -> None:
            upstream.behave = None
            writer.transport.abort()

        upstream.behave = break_once
        url = await stage.route("breaks", upstream, idempotent=idempotent)
        answered = await client.request(method, url)
        assert answered.status_code == status
        if status == 502:
            assert answered.json()["type"] == "urn:gyrus:problem:upstream-failed"
        await stage.forget("breaks")


# under load


async def test_kill_of_one_of_two_fails_no_get(stage: Stage) -> None:
    async with stage.upstream("stays").serving() as stays, stage.upstream("dies").serving() as dies:
        url = await stage.route("pair", stays, dies)
        async with Load(url, 400, method="GET") as load:
            await asyncio.sleep(0.5)
            dies.kill()
            await asyncio.sleep(0.2)
            await stage.route("pair", stays)
            await asyncio.sleep(0.3)
        assert load.result.failed == (), str(load.result)
        assert len(load.result.answers) > 200
        await stage.forget("pair")


async def test_swaps_under_load_fail_nothing(stage: Stage) -> None:
    async with contextlib.AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(stage.upstream(f"swap{n}").serving()) for n in range(8)]
        url = await stage.route("swap", upstreams[0])
        async with Load(url, 400) as load:
            for old, new in zip(upstreams, upstreams[1:], strict=False):
                await stage.route("swap", old, new)
                await stage.route("swap", new)
                await asyncio.sleep(0.15)
        assert load.result.failed == (), str(load.result)
        assert all(upstream.requests for upstream in upstreams[1:])
        await stage.forget("swap")
