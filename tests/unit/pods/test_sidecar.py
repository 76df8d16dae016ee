"""The sidecar serves before a server of the user's own, and ends its requests in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from gyrus.contract.pods import PreStopOrder, SidecarOrder
from gyrus.contract.replica import Limits
from gyrus.pods.sidecar import Sidecar
from support.cluster import eventually
from support.upstreams import free_port

pytestmark = pytest.mark.processes


@dataclass
class Server:
    """A server that answers when the test lets it."""

    port: int
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # a readiness check
            writer.close()
            return
        self.asked.set()
        await self.answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()


@dataclass
class Running:
    server: Server
    stop: asyncio.Event
    task: asyncio.Task[None]
    status_port: int
    port: int

    async def status(self, path: str) -> int:
        return (await get(self.status_port, path))[0]


@asynccontextmanager
async def running(order: SidecarOrder, *, listening: bool = True) -> AsyncGenerator[Running]:
    server = Server(free_port())
    listener = await asyncio.start_server(server.serve, "127.0.0.1", server.port) if listening else None
    status_port, port, stop = free_port(), free_port(), asyncio.Event()
    sidecar = Sidecar(replace(order, upstream=server.port))
    task = asyncio.create_task(sidecar.run(stop, status_port=status_port, port=port), name="sidecar")
    made = Running(server, stop, task, status_port, port if order.proxy else server.port)
    try:
        await eventually(lambda: connects(status_port))
        yield made
    finally:
        server.answer.set()
        stop.set()
        await asyncio.wait((task,))
        if listener:
            listener.close()


async def connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def get(port: int, path: str, *headers: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", "host: a", "connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split(" ", 2)[1]), answer


AWAY = PreStopOrder(url="https://127.0.0.1:1/unrouted", pod="words-1-aaaaa", proof="a1b2", ca="", pause=0.2)
"""No operator answers: the pod serves on for the pause."""
ORDER = SidecarOrder(api="words", upstream=0, limits=Limits(max_concurrency=1), pre_stop=AWAY, grace=10)


async def test_it_is_ready_while_the_server_accepts_connections() -> None:
    async with running(ORDER, listening=False) as sidecar:
        assert await sidecar.status("/readyz") == 503
    async with running(replace(ORDER, probe=False), listening=False) as sidecar:
        assert await sidecar.status("/readyz") == 200
    async with running(ORDER) as sidecar:
        assert await sidecar.status("/readyz") == 200
        assert await sidecar.status("/other") == 404


@pytest.mark.parametrize("proxy", [True, False])
async def test_hooks_wait_for_the_last_request(proxy: bool) -> None:
    async with running(replace(ORDER, proxy=proxy)) as sidecar:
        request = asyncio.create_task(get(sidecar.port, "/"), name="request")
        await sidecar.server.asked.wait()
        sidecar.stop.set()
        hook = asyncio.create_task(sidecar.status("/drained"), name="hook")
        done, _ = await asyncio.wait((hook, sidecar.task), timeout=1)
        assert not done
        sidecar.server.answer.set()
        assert (await request)[0] == 200
        assert await hook == 200
        await sidecar.task


async def test_requests_that_never_end_get_the_grace() -> None:
    async with running(replace(ORDER, grace=0.3)) as sidecar:
        request = asyncio.create_task(get(sidecar.port, "/"), name="request")
        await sidecar.server.asked.wait()
        sidecar.stop.set()
        assert await sidecar.status("/drained") == 200
        await sidecar.task
        request.cancel()


async def test_the_origin_of_an_answer_is_whether_it_was_held() -> None:
    async with running(replace(ORDER, origin=True)) as sidecar:
        sidecar.server.answer.set()
        assert "x-cortex-origin: activator" in (await get(sidecar.port, "/"))[1]
        assert await sidecar.status("/readyz") == 200
        assert "x-cortex-origin: api" in (await get(sidecar.port, "/"))[1]
        arrived = f"x-gyrus-arrived: {time.time() - 20:f}"
        assert "x-cortex-origin: activator" in (await get(sidecar.port, "/", arrived))[1]


async def test_other_apis_have_no_origin() -> None:
    async with running(ORDER) as sidecar:
        sidecar.server.answer.set()
        assert "x-cortex-origin" not in (await get(sidecar.port, "/"))[1]
