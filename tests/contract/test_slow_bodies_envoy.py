"""Bodies that arrive slowly, with the real Envoy: its limit of time holds for servers that have none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from gyrus.contract.problem import BODY_TIMEOUT
from gyrus.routing.settings import ConnectionLimits, GatewaySettings
from support.http2_upstream import Http2Upstream
from support.upstreams import Stage, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONGEST = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    limits = ConnectionLimits(most=100, body=LONGEST)
    settings = GatewaySettings(port=free_port(), concurrency=1, connections=limits)
    async with Stage(tmp_path_factory.mktemp("home"), settings).running() as running:
        yield running


async def trickle(port: int, path: str, framing: str) -> tuple[bytes, bytes]:
    """Send a byte of a body every tenth of a second, until there is an answer. Returns its head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n"
        writer.write(head.encode())
        while True:
            writer.write(b"x" if framing.startswith("content-length") else b"1\r\nx\r\n")
            await asyncio.sleep(0.1)

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return head, await reader.readexactly(length)
    finally:
        sending.cancel()
        writer.close()


@pytest.mark.parametrize(
    "framing", ["content-length: 5000", "content-length: 2000000", "transfer-encoding: chunked"]
)
async def test_body_that_never_ends_is_refused_whatever_its_pace(stage: Stage, framing: str) -> None:
    async with Http2Upstream("two", stage.home.run / "two.sock").serving() as two:
        await stage.route("two", two.endpoint, protocol="http2", runtime_answers=False)
        head, body = await trickle(stage.settings.port, "/two", framing)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["type"] == BODY_TIMEOUT.type
        await stage.forget("two")
