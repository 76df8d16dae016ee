"""Small HTTP/1.1 servers on Unix sockets that stand in for replicas, and a gateway in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gyrus.aio.tasks import first_of
from gyrus.contract.home import Home
from gyrus.routing.local_gateway import LocalGateway
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import Board, ByPool, Route
from support.routes import route_to


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes, **headers: str) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Upstream:
    """Answers with what it got, and its own name; ``behave`` may do otherwise."""

    name: str
    socket: Path
    behave: Answer | None = None
    requests: list[Request] = field(default_factory=list[Request])
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _server: asyncio.Server | None = None

    @property
    def endpoint(self) -> str:
        return f"unix:{self.socket}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Upstream]:
        await self.start()
        try:
            yield self
        finally:
            self.kill()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self.socket, limit=2**20)

    def kill(self) -> None:
        """Stop as by ``kill -9``: the listener is gone, connections break, the socket's file stays."""
        if self._server:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await _read(reader)
                self.requests.append(request)
                await (self.behave or self.echo)(request, writer)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def echo(self, request: Request, writer: asyncio.StreamWriter) -> None:
        seen = {
            "upstream": self.name,
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "length": len(request.body),
        }
        writer.write(answer(200, json.dumps(seen).encode(), content_type="application/json"))


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = first.split()
    fields = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> float:
    """Wait until it holds; returns how long that took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while not condition():
        if clock() - began > seconds:
            raise AssertionError(f"it did not come about within {seconds} s")
        await asyncio.sleep(0.002)
    return clock() - began


def free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


class Stage:
    """A home with a gateway, and upstreams behind it. The test plays control: it writes the routes."""

    def __init__(self, root: Path, settings: GatewaySettings | None = None) -> None:
        self.home = Home(root)
        self.home.run.mkdir(parents=True, exist_ok=True)
        self.settings = settings or GatewaySettings(port=free_port(), concurrency=1)
        self.board = Board()
        self.gateway = LocalGateway(self.board, self.home, self.settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    async def logged(self, request_id: str) -> dict[str, Any]:
        """Wait for the request's line in the access log. Envoy may write a part of a line at first."""

        def lines() -> list[str]:
            *complete, _ = (self.home.envoy / "access.log").read_text().split("\n")
            return [line for line in complete if f'"request_id":"{request_id}"' in line]

        await until(lines)
        [line] = lines()
        return json.loads(line)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[Stage]:
        """The operator's part runs while the block does, then Envoy is ended too."""
        try:
            async with self.operating():
                yield self
        finally:
            await self.gateway.stop()

    @contextlib.asynccontextmanager
    async def operating(self) -> AsyncGenerator[Stage]:
        """The operator's part runs while the block does. Envoy lives on."""
        await self.gateway.adopt()
        operator = asyncio.create_task(self.gateway.run(), name="gateway")
        try:
            await first_of(self._is_running(), asyncio.wait([operator]))
            if operator.done():
                await operator
            yield self
        finally:
            operator.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await operator

    async def _is_running(self) -> None:
        await until(lambda: self.board.gateway == "running")

    def restarted(self, settings: GatewaySettings | None = None) -> Stage:
        """The next operator of the same home, with the same intent."""
        stage = Stage(self.home.root, settings or self.settings)
        stage.board.routes = dict(self.board.routes)
        return stage

    def upstream(self, name: str, behave: Answer | None = None) -> Upstream:
        return Upstream(name, self.home.run / f"{name}.sock", behave)

    def put_route(self, api: str, *upstreams: Upstream | str, **fields: Any) -> Route:
        """Want this route."""
        endpoints = [one if isinstance(one, str) else one.endpoint for one in upstreams]
        route = self.board.routes[api] = route_to(api, endpoints, **fields)
        self.board.route_signals.notify(api)
        return route

    async def route(self, api: str, *upstreams: Upstream | str, **fields: Any) -> str:
        """Want this route, and wait until the gateway has acknowledged it; returns its URL."""
        route = self.put_route(api, *upstreams, **fields)
        await until(lambda: self.board.acknowledged.get(api) == wanted(route))
        return self.url + route.path

    def remove_route(self, api: str) -> None:
        del self.board.routes[api]
        self.board.route_signals.notify(api)

    async def forget(self, api: str) -> None:
        """Withdraw the route, and wait until requests reach nothing."""
        self.remove_route(api)
        await until(lambda: not self.board.acknowledged_of(api))


def wanted(route: Route) -> ByPool:
    """Return the board's entry when every gateway does this."""
    return {pool.id: pool.endpoints for pool in route.pools}
