"""The load generator reports the truth: of a good server, of a faulty one, and of none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from support.load import Load
from support.upstreams import until

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-revision: 3\r\n\r\nok"


@asynccontextmanager
async def serving(serve: Server) -> AsyncGenerator[str]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/iris"


async def load_for(seconds: float, url: str, rate: float, timeout: float = 30.0) -> Load:
    async with Load(url, rate, timeout=timeout) as load:
        await asyncio.sleep(seconds)
    return load


async def test_the_rate_is_kept_and_connections_are_used_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await reader.readuntil(b"{}")
            writer.write(GOOD)

    async with serving(serve) as url, Load(url, 300) as load:
        await until(lambda: len(load.result.answers) >= 300)
    result = load.result
    assert result.failed == ()
    assert result.bodies == {b"ok": len(result.answers)}
    assert result.answers[0].headers["x-revision"] == "3"
    answers = sorted(result.answers, key=lambda answer: answer.due)
    assert [answer.due for answer in answers] == [number / 300 for number in range(len(answers))]
    assert min(answer.latency for answer in answers) >= 0, "none is sent before its time"
    spans = [(answer.due, answer.due + answer.latency) for answer in answers]
    assert connections <= max(sum(begin <= at <= end for begin, end in spans) for at, _ in spans)


async def test_slow_answers_do_not_slow_the_load() -> None:
    came, enough = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        while True:
            await reader.readuntil(b"{}")
            came += 1
            if came == 45:
                enough.set()
            await enough.wait()
            writer.write(GOOD)

    async with serving(serve) as url, Load(url, 100) as load:
        await enough.wait()
    result = load.result
    assert len(result.answers) >= 45
    assert result.failed == ()
    assert next(answer.latency for answer in result.answers if answer.due == 0) >= 0.44


async def test_what_is_answered_wrongly_or_not_at_all_is_reported() -> None:
    number = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        while True:
            await reader.readuntil(b"{}")
            number += 1
            if number == 10:
                writer.write(b"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n")
            elif number == 20:
                writer.write(GOOD[:-1])
                return
            elif number == 30:
                await asyncio.sleep(5)
            else:
                writer.write(GOOD)

    async with serving(serve) as url:
        result = (await load_for(0.5, url, rate=100, timeout=1.5)).result
    busy, cut, silent = sorted(result.failed, key=lambda answer: answer.due)
    assert (busy.status, busy.body, busy.error) == (503, b"busy", "")
    assert (cut.status, cut.error) == (None, "ConnectionLost: closed before the answer was complete")
    assert (silent.status, silent.error) == (None, "TimeoutError: ")
    assert "3 failed" in str(result)


async def test_without_a_server_every_request_fails() -> None:
    async with serving(lambda _reader, writer: writer.drain()) as url:
        pass
    result = (await load_for(0.2, url, rate=50)).result
    assert result.failed == result.answers
    assert len(result.answers) >= 9
    assert "refused" in result.answers[0].error.lower() or "Connect call failed" in result.answers[0].error
