"""Each request goes at its time, and its result is reported truly."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gyrus.client.load.connections import Connections
from gyrus.client.load.result import RequestResult, Result
from gyrus.client.load.sender import OPEN_FILES, Due, Sender

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PROBLEM = b'{"type": "urn:gyrus:problem:queue-full", "title": "Full", "status": 503, "detail": "100 wait"}'


def refusal(status: int, body: bytes = PROBLEM, media_type: str = "application/problem+json") -> bytes:
    lines = [f"HTTP/1.1 {status} No", f"content-length: {len(body)}", f"content-type: {media_type}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


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


def answering(*answers: bytes) -> Server:
    """These in turn, the last for ever; on each connection again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        while True:
            await reader.readuntil(b"{}")
            writer.write(left.pop(0) if len(left) > 1 else left[0])

    return serve


async def sent(url: str, *times: float, timeout: float = 10.0) -> list[RequestResult]:
    reported: list[RequestResult] = []
    await Sender(url, timeout, reported.append).run(
        [Due(number, at, b"{}") for number, at in enumerate(times)]
    )
    return reported


def most_at_once(results: list[RequestResult]) -> int:
    """Return the largest number of requests that were in flight at the same time."""
    return max(sum(one.sent <= other.sent <= one.ended for one in results) for other in results)


async def test_a_request_does_not_wait_for_the_one_before_it() -> None:
    all_arrived = asyncio.Barrier(10)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        await all_arrived.wait()
        writer.write(GOOD)

    async with serving(serve) as url:
        reported = await sent(url, *(number * 0.01 for number in range(10)))
    assert [outcome.fate for outcome in reported] == [Result.ANSWERED] * 10
    assert min(outcome.ended for outcome in reported) >= 0.09, "each waits for the last one's arrival"
    assert all(outcome.latency == outcome.ended - outcome.due for outcome in reported)


async def test_connections_are_used_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(GOOD)(reader, writer)

    async with serving(serve) as url:
        reported = await sent(url, *(number * 0.02 for number in range(20)))
    assert [outcome.fate for outcome in reported] == [Result.ANSWERED] * 20
    assert connections <= most_at_once(reported)


async def test_what_the_sender_was_late_counts_as_latency() -> None:
    async with serving(answering(GOOD)) as url:
        [reported] = await sent(url, -2.0)
    assert reported.late >= 2
    assert reported.latency >= reported.late


@pytest.mark.parametrize(
    ("answer", "fate", "cause", "example"),
    [
        (refusal(503), Result.REFUSED, "503 queue-full", "100 wait"),
        (refusal(504), Result.TIMED_OUT, "504 queue-full", "100 wait"),
        (refusal(500, b"oh", "text/plain"), Result.FAILED, "500", "oh"),
        (GOOD[:-1], Result.TIMED_OUT, "no answer within 0.3 s", ""),
        (
            b"SSH-2.0\r\n\r\n",
            Result.FAILED,
            "the connection broke",
            "the answer is not HTTP: illegal status line",
        ),
        (b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", Result.ANSWERED, "", ""),
    ],
)
async def test_the_fate_of_a_request(answer: bytes, fate: Result, cause: str, example: str) -> None:
    async with serving(answering(answer)) as url:
        [reported] = await sent(url, 0.0, timeout=0.3 if answer == GOOD[:-1] else 10)
    assert (reported.fate, reported.cause) == (fate, cause)
    assert reported.example.startswith(example)


async def test_an_answer_that_breaks_off() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(GOOD[:-1])

    async with serving(serve) as url:
        [reported] = await sent(url, 0.0)
    assert (reported.fate, reported.cause) == (Result.FAILED, "the connection broke")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000,
    ],
    ids=["chunks", "close", "early hints", "no content", "long"],
)
async def test_every_way_to_answer(answer: bytes) -> None:
    async with serving(answering(answer)) as url:
        reported = await sent(url, 0.0, 0.1, 0.2)
    assert [outcome.fate for outcome in reported] == [Result.ANSWERED] * 3


async def test_an_answer_that_ends_with_its_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with serving(serve) as url:
        reported = await sent(url, 0.0, 0.1)
    assert [outcome.fate for outcome in reported] == [Result.ANSWERED] * 2


async def test_no_server_there() -> None:
    async with serving(answering(GOOD)) as url:
        pass
    [reported] = await sent(url, 0.0)
    assert (reported.fate, reported.cause) == (Result.FAILED, "no connection")


async def test_too_few_open_files_are_reported_by_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(self: Connections) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Connections, "_new", no_more)
    [reported] = await sent("http://127.0.0.1:1/iris", 0.0)
    assert (reported.fate, reported.cause) == (Result.FAILED, OPEN_FILES)


async def test_a_load_that_is_cancelled_ends_its_requests_unreported() -> None:
    begun = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        begun.set()
        await reader.read()

    reported: list[RequestResult] = []
    async with serving(serve) as url:
        sender = Sender(url, 10, reported.append)
        running = asyncio.create_task(sender.run([Due(0, 0.0, b"{}"), Due(1, 60.0, b"{}")]))
        await begun.wait()
        assert (sender.sent, sender.under_way) == (1, 1)
        running.cancel()
        await asyncio.wait([running])
    assert reported == []
    assert sender.under_way == 0
