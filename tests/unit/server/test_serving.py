from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from gyrus.server.listening import ApiListener, CannotListen, OperatorPortTaken, listen_on_port
from gyrus.server.serving import serve
from support.output import Output
from support.tls import Authority

HEADERS = {"authorization": "Bearer a-secret"}
AUTHORITY = Authority()


def listen(host: str, port: int) -> ApiListener:
    tls = AUTHORITY.server("127.0.0.1")
    return listen_on_port(host, port, lambda: tls)


def new_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=HEADERS, verify=AUTHORITY.client())


class Served:
    """Serve the application until it is stopped."""

    def __init__(self, app: FastAPI, grace: int = 5) -> None:
        self.listener = listen("127.0.0.1", 0)
        self.url = f"{self.listener.name}/v1"
        self.started = asyncio.Event()
        self.task = asyncio.create_task(serve(app, [self.listener], started=self.started, grace=grace))

    async def __aenter__(self) -> Served:
        await self.started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        assert self.task.cancelled()

    async def get(self, path: str) -> httpx.Response:
        async with new_client() as client:
            return await client.get(self.url + path)


async def test_it_answers_once_started_and_no_longer_after_its_end(app: FastAPI) -> None:
    async with Served(app) as served:
        assert (await served.get("/info")).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await served.get("/info")
    assert served.listener.socket.fileno() == -1
    listen("127.0.0.1", int(httpx.URL(served.url).port or 0)).close()


async def test_signals_stay_the_operators(app: FastAPI) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    async with Served(app):
        assert {number: signal.getsignal(number) for number in before} == before


async def test_streams_end_at_once_when_it_ends(app: FastAPI) -> None:
    async with (
        Served(app, grace=60) as served,
        new_client() as client,
        client.stream("GET", served.url + "/watch") as response,
    ):
        chunks = response.aiter_bytes()
        assert (await anext(chunks)).startswith(b"event: apis")
        async with asyncio.timeout(30):
            await served.end()
            assert [chunk async for chunk in chunks] == []


@pytest.fixture
def slow(app: FastAPI) -> asyncio.Event:
    """GET /v1/slow is answered when this is set."""
    ready = asyncio.Event()

    async def answer(request: Request) -> str:
        app.state.slow_asked = True
        await ready.wait()
        return "done"

    app.add_api_route("/v1/slow", answer)
    app.state.slow_asked = False
    return ready


async def _asked(app: FastAPI) -> None:
    while not app.state.slow_asked:  # noqa: ASYNC110 -- nothing rings
        await asyncio.sleep(0.005)


async def test_requests_may_finish(app: FastAPI, slow: asyncio.Event) -> None:
    async with Served(app) as served:
        request = asyncio.create_task(served.get("/slow"))
        await _asked(app)
        served.task.cancel()
        with suppress(httpx.ConnectError):
            while True:
                await served.get("/info")
        slow.set()
        assert (await request).json() == "done"


@pytest.mark.usefixtures("slow")
async def test_but_not_for_ever(app: FastAPI) -> None:
    async with Served(app, grace=1) as served:
        request = asyncio.create_task(served.get("/slow"))
        await _asked(app)
        async with asyncio.timeout(8):
            await served.end()
        await asyncio.wait([request])
        assert request.exception() or request.result().status_code == 500


@pytest.mark.usefixtures("slow")
async def test_cancelled_twice_it_ends_at_once(app: FastAPI) -> None:
    async with Served(app, grace=60) as served:
        before = asyncio.all_tasks()
        request = asyncio.create_task(served.get("/slow"))
        await _asked(app)
        served.task.cancel()
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await served.end()
        assert asyncio.all_tasks() - before == {request}
        request.cancel()
        await asyncio.wait([request])


async def test_no_task_is_left(app: FastAPI, output: Output) -> None:
    before = asyncio.all_tasks()
    async with Served(app) as served, new_client() as client:
        async with client.stream("GET", served.url + "/watch") as response:
            await anext(response.aiter_bytes())
        await served.end()
    left: set[asyncio.Task[Any]] = asyncio.all_tasks() - before
    assert left == set()


class TestListening:
    def test_a_port_that_is_taken(self) -> None:
        with listen("127.0.0.1", 0).socket as first:
            port = first.getsockname()[1]
            with pytest.raises(OperatorPortTaken) as raised:
                listen("127.0.0.1", port)
        message = str(raised.value)
        assert message.startswith(f"The operator cannot listen on 127.0.0.1:{port}: ")
        assert f"(process {os.getpid()})" in message
        assert message.endswith("or choose another port with --operator-port.")

    def test_one_that_was_just_left_is_free(self) -> None:
        with listen("127.0.0.1", 0).socket as first:
            port = first.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                accepted, _ = _accept(first)
                accepted.close()  # the server closes first: its side stays in TIME_WAIT
        listen("127.0.0.1", port).close()

    def test_an_address_that_is_not_ours(self) -> None:
        with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1:80: "):
            listen("192.0.2.1", 80)


def _accept(listener: socket.socket) -> tuple[socket.socket, Any]:
    listener.setblocking(True)
    return listener.accept()
