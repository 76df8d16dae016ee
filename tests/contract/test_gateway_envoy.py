"""The gateway with the real Envoy, in front of small real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import psutil
import pytest
import pytest_asyncio
import websockets.asyncio.client
import websockets.asyncio.server

from gyrus import Response
from gyrus.contract.problem import MEDIA_TYPE
from gyrus.contract.replica import API_HEADER, ARRIVED_HEADER, POOL_HEADER
from gyrus.routing.errors import GatewayPortTaken
from gyrus.routing.settings import AccessLog, GatewayFiles, GatewaySettings
from gyrus.runtime.handler.answers import Streaming, encode
from gyrus.runtime.handler.response_head import MOST_HEADER_BYTES, MOST_HEADERS
from gyrus.runtime.server.answer import Head, head_bytes
from gyrus.state.board import Traffic
from support.http2_burst import Burst
from support.load import Load
from support.routes import route_to
from support.upstreams import Answer, Request, Stage, Upstream, answer, free_port, until

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


async def serves_more(*upstreams: Upstream, number: int = 50) -> None:
    """Wait until each has been sent so many more requests."""
    before = [len(upstream.requests) for upstream in upstreams]
    more = zip(upstreams, before, strict=True)
    goals = [(upstream, count + number) for upstream, count in more]
    await until(lambda: all(len(upstream.requests) >= goal for upstream, goal in goals))


async def stat(stage: Stage, name: str) -> int:
    """One of Envoy's counters; 0 while it is not used."""
    answered = await stage.gateway.envoy.admin.request("GET", f"/stats?filter=^{name}$")
    return int(answered.decode().rpartition(":")[2] or 0)


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


@pytest.mark.parametrize(
    "headers",
    [
        {f"x-{number:03}": "a" for number in range(MOST_HEADERS)},
        {"x-a": "a" * (MOST_HEADER_BYTES - 100)},
        {f"x-{number:03}": "a" * (MOST_HEADER_BYTES // MOST_HEADERS - 10) for number in range(MOST_HEADERS)},
    ],
    ids=["number", "size", "both"],
)
async def test_answers_within_the_limits_of_headers_pass(
    stage: Stage, client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    encoded = encode(Response(b"", headers=headers))
    assert not isinstance(encoded, Streaming)

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        head = Head(encoded.status, encoded.media_type, encoded.headers)
        writer.write(head_bytes(head, b"content-length: 0\r\n", b"id", 0.0, close=True))

    async with stage.upstream("headers", reply).serving() as upstream:
        await stage.route("headers", upstream)
        answered = await client.post(f"{stage.url}/headers")
    assert answered.status_code == 200
    assert headers.items() <= dict(answered.headers).items()


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


async def test_internal_paths_stay_hidden_beside_an_api_whose_path_begins_alike(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    async with stage.upstream("outer").serving() as outer, stage.upstream("inner").serving() as inner:
        await stage.route("outer", outer, path="/a")
        await stage.route("inner", inner, path="/a/m")
        assert (await client.get(stage.url + "/a/metrics")).status_code == 404
        assert (await client.get(stage.url + "/a/more")).json()["upstream"] == "outer"
        await stage.forget("inner")
        await stage.forget("outer")


async def test_headers_on_the_way(stage: Stage, client: httpx.AsyncClient, echo: Upstream) -> None:
    sent = {
        "x-request-id": "abc",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x-gyrus-internal": "1",
        "x-gyrus-requeue": "1",
        API_HEADER: "another",
        ARRIVED_HEADER: "1",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-max-retries": "0",
    }
    answered = await client.get(f"{stage.url}/iris", headers=sent)
    seen = answered.json()["headers"]
    assert seen["x-request-id"] == answered.headers["x-request-id"] == "abc"
    assert seen["traceparent"] == sent["traceparent"]
    private = {API_HEADER, ARRIVED_HEADER, POOL_HEADER}
    assert {name for name in seen if name.startswith("x-gyrus")} == private
    assert seen[API_HEADER] == "iris"
    assert abs(float(seen[ARRIVED_HEADER]) - time.time()) < 5
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


async def test_replica_that_does_not_listen_disturbs_no_other(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    url = await stage.route("absent", stage.upstream("absent"))
    waiting = asyncio.create_task(client.post(url, timeout=0.5))
    assert (await client.get(f"{stage.url}/iris")).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        await waiting
    await stage.forget("absent")


@pytest.mark.parametrize(
    ("request_", "status", "slug"),
    [
        (
            b"GET /iris HTTP/1.1\r\nhost: localhost\r\nlong: " + b"x" * 70_000 + b"\r\n\r\n",
            431,
            "header-too-large",
        ),
        (b"GET /iris HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n", 400, "bad-request"),
        (b"GET /iris HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: strange\r\n\r\n", 501, "internal"),
    ],
)
async def test_bad_requests_are_problems(
    stage: Stage, echo: Upstream, request_: bytes, status: int, slug: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.port)
    writer.write(request_)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].split()[0])
    document = json.loads(await reader.readexactly(length))
    writer.close()
    assert f" {status} " in head.splitlines()[0]
    assert MEDIA_TYPE in head
    assert document["type"] == f"urn:gyrus:problem:{slug}"
    assert document["status"] == status


async def test_http_1_0(stage: Stage, echo: Upstream) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.port)
    writer.write(b"GET /iris/old HTTP/1.0\r\n\r\n")
    answered = await reader.read()
    writer.close()
    assert b" 200 " in answered.splitlines()[0]
    assert b'"/old"' in answered


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

    rpc: Any = grpc  # its stubs leave the generics open
    server = rpc.aio.server()
    methods = {"Reverse": rpc.unary_unary_rpc_method_handler(reverse)}
    server.add_generic_rpc_handlers((rpc.method_handlers_generic_handler("iris.Words", methods),))
    path = str(stage.home.run / "grpc.sock")
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await stage.route("words", f"unix:{path}", protocol="http2")
    async with rpc.aio.insecure_channel(f"127.0.0.1:{stage.settings.port}") as channel:
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
        async with client.stream("GET", url) as answered:
            times = [time.monotonic() async for _ in answered.aiter_raw()]
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


class Requeues:
    """Requeue so many requests, then answer."""

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
async def test_requeued_request_goes_elsewhere(stage: Stage, client: httpx.AsyncClient, size: int) -> None:
    async with stage.upstream("full").serving() as full, stage.upstream("free").serving() as free:
        full.behave = Requeues(full, 1000)
        url = await stage.route("moved", full, free)
        for _ in range(40):  # which of two idle replicas gets a request is chance
            if full.requests:
                break
            answered = await client.post(url, content=b"x" * size)
            assert answered.status_code == 200
            assert answered.json()["upstream"] == "free"
            assert answered.json()["length"] == size
        assert full.requests
        await stage.forget("moved")


async def test_time_of_arrival_is_the_same_on_every_try(stage: Stage, client: httpx.AsyncClient) -> None:
    async def later(request: Request, writer: asyncio.StreamWriter) -> None:
        del request
        await asyncio.sleep(0.02)
        writer.write(answer(503, b"", x_gyrus_requeue="1"))

    async with stage.upstream("late", later).serving() as late:
        url = await stage.route("late", late)
        asked = asyncio.create_task(client.post(url, content=b"x"))
        await until(lambda: len(late.requests) == 3)
        late.behave = None
        await asked
        arrived = {request.headers[ARRIVED_HEADER] for request in late.requests}
    assert len(arrived) == 1
    assert re.fullmatch(r"\d{10}\.\d{6}", arrived.pop())


async def test_request_requeued_many_times_is_answered(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("again").serving() as upstream:
        upstream.behave = Requeues(upstream, 15)
        url = await stage.route("again", upstream)
        answered = await client.post(url, content=b"{}")
        assert answered.status_code == 200
        assert "x-gyrus-requeue" not in answered.headers
        assert len(upstream.requests) == 16
        await stage.forget("again")


async def test_long_body_is_passed_on_and_tried_once(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("long").serving() as upstream:
        url = await stage.route("long", upstream)
        size = stage.settings.retry_body + 1024 * 1024
        answered = await client.post(url, content=b"x" * size)
        assert answered.json()["length"] == size
        upstream.behave = Requeues(upstream, 1)
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


async def test_only_replica_is_waited_for_while_it_restarts(stage: Stage, client: httpx.AsyncClient) -> None:
    upstream = stage.upstream("restarts")
    url = await stage.route("restarts", upstream)
    waiting = [asyncio.create_task(client.post(url, content=b"{}")) for _ in range(10)]
    while await stat(stage, "cluster.restarts/1.upstream_cx_connect_fail") < 30:  # noqa: ASYNC110 (no event)
        await asyncio.sleep(0.01)
    assert not any(one.done() for one in waiting)
    async with upstream.serving():
        assert [(await one).status_code for one in waiting] == [200] * 10
        await stage.forget("restarts")


# under load


async def test_dead_replica_is_avoided_before_control_notices(stage: Stage) -> None:
    async with stage.upstream("lives").serving() as lives, stage.upstream("dead").serving() as dead:
        url = await stage.route("half", lives, dead)
        async with Load(url, 200) as load:
            await serves_more(lives, dead, number=20)
            dead.kill()
            await serves_more(lives, number=140)
        refused = [answer for answer in load.result.failed if answer.status != 502]
        assert refused == [], "only what was in flight at the kill may fail"
        assert load.result.latency(95) < 0.1
        await stage.forget("half")


async def test_kill_of_one_of_two_fails_no_get(stage: Stage) -> None:
    async with stage.upstream("stays").serving() as stays, stage.upstream("dies").serving() as dies:
        url = await stage.route("pair", stays, dies)
        async with Load(url, 400, method="GET") as load:
            await serves_more(stays, dies)
            dies.kill()
            await serves_more(stays)
            await stage.route("pair", stays)
            await serves_more(stays, number=100)
        assert load.result.failed == (), str(load.result)
        assert len(load.result.answers) > 200
        await stage.forget("pair")


async def test_swaps_under_load_fail_nothing(stage: Stage) -> None:
    async with contextlib.AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(stage.upstream(f"swap{n}").serving()) for n in range(8)]
        url = await stage.route("swap", upstreams[0])
        async with Load(url, 400) as load:
            for old, new in pairwise(upstreams):
                await stage.route("swap", old, new)
                await stage.route("swap", new)
                await serves_more(new)
        assert load.result.failed == (), str(load.result)
        assert all(upstream.requests for upstream in upstreams[1:])
        await stage.forget("swap")


async def test_burst_that_fits_the_queues_of_all_replicas_fails_none(stage: Stage) -> None:
    """It arrives within one turn of Envoy's loop, and no replica has a connection yet."""
    places = 60
    served = asyncio.Event()
    in_flight: Counter[str] = Counter()

    def queue(name: str) -> Answer:
        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            if in_flight[name] == places:
                writer.write(answer(503, b"queue full"))
                return
            in_flight[name] += 1
            await served.wait()
            writer.write(answer(200, b""))

        return behave

    async with (
        stage.upstream("left", queue("left")).serving() as left,
        stage.upstream("right", queue("right")).serving() as right,
    ):
        burst = Burst(await stage.route("burst", left, right))
        await burst.open()
        burst.send(2 * places)
        await until(lambda: len(left.requests) + len(right.requests) >= 2 * places)
        served.set()
        assert await burst.statuses(2 * places) == {200: 2 * places}
        burst.close()
        await stage.forget("burst")


# what the board contains


async def test_endpoints_are_acknowledged_when_envoy_has_them(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    async with stage.upstream("old").serving() as old, stage.upstream("new").serving() as new:
        seen: list[frozenset[str] | None] = []
        await stage.route("acked", old)
        with stage.board.acknowledged_signals.listen() as signals:
            stage.put_route("acked", new)
            while (now := stage.board.acknowledged_of("acked")) != frozenset({new.endpoint}):
                seen.append(now)
                await signals.wait()
        assert set(seen) == {frozenset({old.endpoint})}
        assert stage.board.reachable["acked"] == {"acked/1": frozenset({new.endpoint})}
        answers = [(await client.get(f"{stage.url}/acked")).json()["upstream"] for _ in range(5)]
        assert answers == ["new"] * 5
        await stage.forget("acked")
        assert (await client.get(f"{stage.url}/acked")).status_code == 404


async def test_new_api_is_acknowledged_when_its_route_works(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("fresh").serving() as upstream:
        for number in range(5):
            url = await stage.route(f"fresh-{number}", upstream)
            assert (await client.get(url)).status_code == 200
        for number in range(5):
            await stage.forget(f"fresh-{number}")


async def test_one_bad_api_is_refused_alone(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    too_long = "unix:/tmp/" + "x" * 120
    stage.put_route("bad", too_long)
    stage.put_route("good-1", echo)
    stage.put_route("good-2", echo)
    for good in ("good-1", "good-2"):
        await until(lambda api=good: stage.board.acknowledged_of(api) == frozenset({echo.endpoint}))
    await until(lambda: "endpoints of bad/1" in stage.board.gateway_message)
    assert stage.board.refused.keys() == {"bad"}
    assert "endpoints of bad/1" in stage.board.refused["bad"].message
    assert (await client.get(f"{stage.url}/good-1")).status_code == 200
    assert (await client.get(f"{stage.url}/good-2")).status_code == 200
    assert too_long not in stage.board.acknowledged_of("bad")
    assert "Envoy refuses the endpoints of bad/1" in caplog.text
    assert stage.board.gateway == "running"
    await stage.route("bad", echo)
    assert stage.board.gateway_message == ""
    assert not stage.board.refused
    for api in ("bad", "good-1", "good-2"):
        await stage.forget(api)


TOO_LONG = 1e10
"""Seconds: a timeout that Envoy refuses."""


async def test_one_refused_route_holds_up_no_other_api(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    stage.put_route("bad-route", echo, timeout=TOO_LONG)
    for api in ("good-1", "good-2"):
        await stage.route(api, echo)
        assert (await client.get(f"{stage.url}/{api}")).status_code == 200
    await until(lambda: "bad-route" in stage.board.refused)
    assert "Envoy refuses the routes of bad-route: Invalid duration" in stage.board.gateway_message
    assert (await client.get(f"{stage.url}/bad-route")).status_code == 404
    assert not stage.board.acknowledged_of("bad-route")
    url = await stage.route("bad-route", echo)
    assert (await client.get(url)).status_code == 200
    await until(lambda: not stage.board.refused)
    await until(lambda: stage.board.gateway_message == "")
    for api in ("bad-route", "good-1", "good-2"):
        await stage.forget(api)


async def test_refused_change_leaves_the_last_accepted_route(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    url = await stage.route("changing", echo)
    stage.put_route("changing", echo, timeout=TOO_LONG)
    await until(lambda: "changing" in stage.board.refused)
    moved = await stage.route("other", echo, path="/moved")
    assert (await client.get(moved)).status_code == 200
    assert (await client.get(url)).status_code == 200
    await stage.route("changing", echo)
    await until(lambda: not stage.board.refused)
    for api in ("changing", "other"):
        await stage.forget(api)


async def test_next_operator_finds_the_refused_routes_and_fails_no_request(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    async with stage.upstream("echo").serving() as upstream:
        async with stage.operating():
            for number in range(20):
                await stage.route(f"api-{number}", upstream)
        following = stage.restarted()
        for number in (3, 11, 12):
            following.put_route(f"new-{number}", upstream, timeout=TOO_LONG)
        loads = [Load(f"{stage.url}/api-{number}", 20) for number in range(20)]
        try:
            async with contextlib.AsyncExitStack() as stack:
                for load in loads:
                    await stack.enter_async_context(load)
                await stack.enter_async_context(following.operating())
                await until(lambda: len(following.board.refused) == 3)
                await following.route("late", upstream)
                await serves_more(upstream, number=200)
        finally:
            await following.gateway.stop()
    assert [load.result.failed for load in loads if load.result.failed] == []
    assert following.board.refused.keys() == {"new-3", "new-11", "new-12"}


async def test_traffic_is_measured(stage: Stage, client: httpx.AsyncClient) -> None:
    release = asyncio.Event()

    def traffic() -> Traffic:
        return stage.board.traffic.get("metered", Traffic())

    async def wait(request: Request, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        status = int(request.headers["x-status"])
        writer.write(answer(status, b""))

    async with stage.upstream("metered", wait).serving() as upstream:
        url = await stage.route("metered", upstream)
        statuses = ["200", "200", "200", "404", "500"]
        waiting = [asyncio.create_task(client.post(url, headers={"x-status": s})) for s in statuses]
        await until(lambda: traffic().in_flight == 5)
        release.set()
        assert sorted([(await one).status_code for one in waiting]) == [200, 200, 200, 404, 500]
        await until(lambda: traffic().in_flight == 0)
        upstream.behave = Requeues(upstream, 3)
        assert (await client.post(url)).status_code == 200
        await until(lambda: traffic().view.requests >= 6)
        await until(lambda: traffic().view.p50 is not None)
        assert traffic().view.requests == 6, "a request counts once, however often it was given back"
        assert traffic().view.by_code == {"2xx": 4, "4xx": 1, "5xx": 1}
        percentiles = (traffic().view.p50, traffic().view.p95, traffic().view.p99)
        assert sorted(percentiles, key=lambda value: value or 0.0) == list(percentiles)
        await stage.forget("metered")


async def test_access_log_has_a_line_a_request(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    await client.get(f"{stage.url}/iris/logged?secret=1", headers={"x-request-id": "logged-1"})
    line = await stage.logged("logged-1")
    assert (line["api"], line["pool"]) == ("iris", "iris/1")
    assert line["code"] == 200
    assert line["path"] == "/logged"
    assert line["attempts"] == 1
    assert line["flags"] == "-"


# Envoy's lives


async def test_killed_envoy_is_back_within_two_seconds(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    await until(lambda: stage.board.acknowledged.keys() == stage.board.routes.keys())  # no leftovers
    acknowledged = dict(stage.board.acknowledged)
    envoy = stage.gateway.envoy.process
    assert envoy
    began = time.monotonic()
    envoy.send(signal.SIGKILL)
    await until(lambda: stage.board.gateway == "down")
    await until(lambda: stage.board.acknowledged == {})  # noted in slices
    await until(lambda: stage.board.gateway == "running")
    async with httpx.AsyncClient() as fresh:
        assert (await fresh.get(f"{stage.url}/iris")).status_code == 200
    assert time.monotonic() - began < 2
    assert stage.board.acknowledged == acknowledged
    assert f"Envoy (process {envoy.pid}) died. The operator starts it again in" in caplog.text


async def test_operator_restart_does_not_disturb_traffic(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Stage(tmp_path)
    async with first.upstream("a").serving() as upstream:
        async with first.operating():
            url = await first.route("iris", upstream)
            await first.route("gone", upstream)
        second = first.restarted()
        second.board.routes.pop("gone")
        try:
            async with Load(url, 300) as load:
                await second.gateway.adopt()
                assert second.board.acknowledged == {
                    "iris": {"iris/1": frozenset({upstream.endpoint})},
                    "gone": {"gone/1": frozenset({upstream.endpoint})},
                }
                caplog.clear()
                caplog.set_level(logging.DEBUG, "gyrus.routing.xds.server")
                async with second.operating():
                    assert second.gateway.envoy.process == first.gateway.envoy.process
                    await until(lambda: "gone" not in second.board.acknowledged)
                    # The other tests' gateway logs here too.
                    node = GatewayFiles(second.home).node
                    parts = [message.split(f" to gateway {node}: ") for message in caplog.messages]
                    assert [part for part in parts if len(part) > 1] == [
                        ["Sending routes", "1 changed, 0 removed"],
                        ["Sending endpoints", "1 changed, 0 removed"],
                        ["Sending cluster", "0 changed, 1 removed"],
                    ]
                    async with second.upstream("b").serving() as other:
                        await second.route("iris", other)
                        await serves_more(other)
                        await second.route("iris", upstream)
            assert load.result.failed == (), str(load.result)
        finally:
            await second.gateway.stop()
    assert not list(second.home.run.glob("envoy*"))


OPERATOR = """
import asyncio, pathlib, sys
from gyrus.routing.settings import GatewaySettings
from support.upstreams import Stage

async def operate(home, port, endpoint):
    stage = Stage(pathlib.Path(home), GatewaySettings(port=int(port), concurrency=1))
    async with stage.operating():
        await stage.route("iris", endpoint)
        print("routed", flush=True)
        await asyncio.Event().wait()

asyncio.run(operate(*sys.argv[1:]))
"""


async def test_killed_operator_leaves_envoy_serving(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    async with stage.upstream("a").serving() as upstream:
        arguments = (str(tmp_path), str(stage.settings.port), upstream.endpoint)
        path = os.pathsep.join(sys.path)
        operator = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", OPERATOR, *arguments),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert operator.stdout
        assert await operator.stdout.readline() == b"routed\n"
        stage.board.routes["iris"] = route_to("iris", [upstream.endpoint])
        try:
            async with Load(f"{stage.url}/iris", 300) as load:
                await serves_more(upstream)
                operator.kill()
                await operator.wait()
                await serves_more(upstream)
                async with stage.operating():
                    assert stage.board.acknowledged == {"iris": {"iris/1": frozenset({upstream.endpoint})}}
                    await serves_more(upstream)
            assert load.result.failed == (), str(load.result)
        finally:
            await stage.gateway.stop()


async def test_changed_bootstrap_is_a_hot_restart(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    async with first.upstream("a").serving() as upstream:
        async with first.operating():
            url = await first.route("iris", upstream)
        second = first.restarted(replace(first.settings, concurrency=2))
        try:
            async with Load(url, 300) as load, second.operating():
                assert second.gateway.envoy.process != first.gateway.envoy.process
                assert second.board.acknowledged_of("iris") == {upstream.endpoint}
                await serves_more(upstream)
            assert load.result.failed == (), str(load.result)
        finally:
            await second.gateway.stop()
        assert first.gateway.envoy.process
        assert not first.gateway.envoy.process.alive


@pytest.mark.slow
async def test_stream_goes_on_over_a_change_of_the_listener(tmp_path: Path) -> None:
    """For longer than the minute after which Envoy ends it where nothing else is configured."""
    ends = asyncio.Event()

    async def stream(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n")
        await writer.drain()
        await ends.wait()
        writer.write(b"1\r\n2\r\n0\r\n\r\n")

    first = Stage(tmp_path)
    second = first.restarted(replace(first.settings, access_log=AccessLog(enabled=False)))
    async with (
        first.upstream("stream", stream).serving() as streams,
        first.upstream("echo").serving() as echo,
        httpx.AsyncClient(timeout=90) as client,
    ):
        async with first.operating():
            url, other = await first.route("stream", streams), await first.route("echo", echo)
        second.board.routes |= first.board.routes
        try:
            async with client.stream("GET", url) as answered:
                assert (await client.get(other)).headers.get("connection") is None
                async with second.operating():
                    assert second.gateway.envoy.process == first.gateway.envoy.process
                    assert (await client.get(other)).headers["connection"] == "close"
                    assert (await client.get(other)).headers.get("connection") is None
                    await asyncio.sleep(65)  # time itself is what this is about
                    ends.set()
                    assert await answered.aread() == b"12"
        finally:
            await second.gateway.stop()


async def test_two_platforms_on_one_machine(stage: Stage, tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with Stage(tmp_path).running() as other, other.upstream("other").serving() as upstream:
        url = await other.route("iris", upstream)
        assert (await client.get(url)).json()["upstream"] == "other"


async def test_taken_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stage = Stage(tmp_path, GatewaySettings(port=port))
        with pytest.raises(GatewayPortTaken) as refused:
            await stage.gateway.adopt()
    assert str(refused.value) == (
        f"The gateway cannot listen on 127.0.0.1:{port}: {psutil.Process().name()} (process {os.getpid()}) "
        "has the port. Stop it, or choose another port with --gateway-port."
    )


async def test_access_log_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyrus.routing.local_gateway.ROTATION_EVERY", 0.2)
    settings = GatewaySettings(port=free_port(), concurrency=1, access_log=AccessLog(max_bytes=100, keep=2))
    async with Stage(tmp_path, settings).running() as stage, stage.upstream("a").serving() as upstream:
        url = await stage.route("iris", upstream)
        log = GatewayFiles(stage.home).access_log
        async with Load(url, 50):
            await until(lambda: log.with_name("access.log.1").exists() and log.exists(), 25)


async def test_five_hundred_apis(tmp_path: Path, client: httpx.AsyncClient) -> None:
    stage = Stage(tmp_path)
    async with stage.upstream("many").serving() as upstream:
        for number in range(500):
            stage.put_route(f"api-{number}", upstream)
        async with stage.running():
            await until(lambda: len(stage.board.acknowledged) == 500)
            assert (await client.get(f"{stage.url}/api-499/x")).json()["target"] == "/x"
            stage.put_route("api-250")
            took = await until(lambda: not stage.board.acknowledged_of("api-250"))
            assert took < 1
            for number in range(500):
                stage.remove_route(f"api-{number}")
            await until(lambda: not stage.board.acknowledged)


async def test_stop_ends_an_envoy_that_was_not_adopted(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    async with first.operating():
        envoy = first.gateway.envoy.process
    assert envoy
    assert envoy.alive
    shared_memory = GatewayFiles(first.home).shared_memory
    assert shared_memory.exists() == (sys.platform == "linux")
    await first.restarted().gateway.stop()
    assert not envoy.alive
    assert not shared_memory.exists()
    assert not list(first.home.run.iterdir())


async def test_envoy_that_does_not_answer_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gyrus.routing.envoy.ADOPT_TIMEOUT", 0.1)
    monkeypatch.setattr("gyrus.routing.admin.TIMEOUT", 0.3)
    first = Stage(tmp_path)
    async with first.operating():
        envoy = first.gateway.envoy.process
    assert envoy
    envoy.send(signal.SIGSTOP)
    async with first.restarted().running() as second:
        assert not envoy.alive
        assert second.gateway.envoy.process
        assert second.gateway.envoy.process.alive
