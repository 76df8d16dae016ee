"""The queue proxy in front of real servers: forwarding, order, and requests that are never lost."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gyrus.contract.replica import Limits
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.queue_proxy.proxy import QueueProxy
from gyrus.runtime.queue_proxy.upstream import ConnectionPool
from gyrus.runtime.server.server import bind_unix
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal

WAIT = 20
"""Seconds; nothing here takes so long, unless it is wrong."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Stage:
    """A queue proxy under test, before a server whose every connection is given to ``serve``."""

    path: str
    proxy: QueueProxy
    stop: asyncio.Event
    reported: list[str] = field(default_factory=list[str])

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.path)

    async def ask(self, data: bytes) -> bytes:
        """Return all that comes back until the connection ends, as the request demands."""
        reader, writer = await self.open()
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def stage(serve: Serve, limits: Limits | None = None, *, proof: bytes = b"") -> AsyncGenerator[Stage]:
    limits = limits or Limits()
    async with asyncio.timeout(WAIT):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        pool = ConnectionPool("127.0.0.1", server.sockets[0].getsockname()[1], limits.max_header)
        with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
            signal, private_calls = BacklogSignal(None, "a"), PrivateCalls(proof)
            proxy = QueueProxy(limits, pool, signal, private_calls=private_calls)
            staged = Stage(str(Path(folder) / "s"), proxy, asyncio.Event())
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(
                    staged.proxy.run(bind_unix(staged.path), staged.stop, staged.reported.append)
                )
                try:
                    yield staged
                finally:
                    staged.stop.set()
                    await asyncio.wait([running], timeout=3)
                    running.cancel()
        server.close()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def answering(answer: bytes, requests: list[bytes] | None = None) -> Serve:
    """Answers every request (that has no body, or one of known length) alike."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await head_of(reader)
                length = [
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
                ]
                body = await reader.readexactly(length[0] if length else 0)
                if requests is not None:
                    requests.append(head + body)
                writer.write(answer)
                await writer.drain()
        writer.close()

    return serve


class Backend:
    """A server whose answers the test gives out one by one."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, asyncio.StreamWriter]] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.arrived.put((await head_of(reader), writer))
        self.closed.set()
        writer.close()

    async def answer(self, body: bytes = b"ok") -> bytes:
        """The request that is answered now."""
        head, writer = await self.arrived.get()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        return head


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_a_request_passes_with_its_body_and_the_answer_comes_back() -> None:
    requests: list[bytes] = []
    made = b"HTTP/1.1 201 Made\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok"
    async with stage(answering(made, requests)) as staged:
        answer = await staged.ask(
            b"POST /v1/x?q=1 HTTP/1.1\r\nHost: a\r\nX-Mine: yes\r\nx-request-id: r-1\r\n"
            b"Connection: close, x-hop\r\nX-Hop: secret\r\nContent-Length: 5\r\n\r\nhello"
        )
    assert answer == (
        b"HTTP/1.1 201 Made\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\nx-request-id: r-1\r\n"
        b"connection: close\r\n\r\nok"
    )
    assert requests == [
        b"POST /v1/x?q=1 HTTP/1.1\r\nHost: a\r\nX-Mine: yes\r\nx-request-id: r-1\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    ]
    assert staged.reported == ["ready", "draining"]


async def test_requests_follow_each_other_on_both_connections() -> None:
    connections: list[object] = []
    inner = answering(OK)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await inner(reader, writer)

    async with stage(serve) as staged:
        reader, writer = await staged.open()
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await head_of(reader)).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(2) == b"ok"
        writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(2):
            await head_of(reader)
            assert await reader.readexactly(2) == b"ok"
        writer.close()
    assert len(connections) == 1


@pytest.mark.parametrize("surplus", [OK.replace(b"ok", b"no"), b"HTTP/1.1 200 "])
async def test_what_a_server_sends_unasked_is_no_answer(surplus: bytes) -> None:
    async with stage(answering(OK + surplus)) as staged:
        for _ in range(3):
            assert (await staged.ask(get(0))).endswith(b"\r\n\r\nok")


async def test_bodies_stream_both_ways_at_once() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await head_of(reader)
        assert b"transfer-encoding: chunked" in head
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (size := int(await reader.readline(), 16)) > 0:
            piece = (await reader.readexactly(size + 2))[:-2]
            writer.write(b"%x\r\n%b\r\n" % (size, piece.upper()))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with stage(echo) as staged:
        reader, writer = await staged.open()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b"transfer-encoding: chunked" in await head_of(reader)
        for _ in range(3):
            writer.write(b"2\r\nhi\r\n")
            assert await reader.readexactly(7) == b"2\r\nHI\r\n"
        writer.write(b"0\r\n\r\n")
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.close()


async def test_large_bodies_pass_whole() -> None:
    body = bytes(range(256)) * 4096
    requests: list[bytes] = []
    big = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    async with stage(answering(big, requests)) as staged:
        answer = await staged.ask(
            b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
    assert answer.endswith(b"\r\n\r\n" + body)
    assert requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("request_line", "answer", "body"),
    [
        (b"GET / HTTP/1.1", b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"d\r\nuntil the end\r\n0\r\n\r\n"),
        (
            b"GET / HTTP/1.0",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            b"hi",
        ),
        (b"HEAD / HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b""),
        (b"GET / HTTP/1.1", b"HTTP/1.1 204 Nothing\r\n\r\n", b""),
        (b"GET / HTTP/1.1", b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", b""),
        (b"GET / HTTP/1.1", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
    ],
)
async def test_every_framing_is_understood(request_line: bytes, answer: bytes, body: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with stage(serve) as staged:
        got = await staged.ask(request_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert got.partition(b"\r\n\r\n")[2] == body
    assert b"103" not in got


async def test_slots_are_bounded_and_the_queue_is_first_in_first_out() -> None:
    backend = Backend()
    async with stage(backend.serve, Limits(max_concurrency=2, max_queue_length=3)) as staged:
        asking = [asyncio.create_task(staged.ask(get(n))) for n in range(2)]
        await until(lambda: backend.arrived.qsize() == 2)
        for n in range(2, 5):
            asking.append(asyncio.create_task(staged.ask(get(n))))
            await until(lambda n=n: staged.proxy.limiter.waiting == n - 1)
        refused = await staged.ask(get(5))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in refused
        assert problem(refused)["type"] == "urn:gyrus:problem:queue-full"
        assert problem(refused)["detail"].startswith(
            "All slots are busy (2) and the queue is full (3 waiting); "
        )
        assert backend.arrived.qsize() == 2
        order = [(await backend.answer()).split()[1] for _ in range(5)]
        assert set(order[:2]) == {b"/0", b"/1"}
        assert order[2:] == [b"/2", b"/3", b"/4"]
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in await asyncio.gather(*asking))
        assert (staged.proxy.limiter.running, staged.proxy.limiter.waiting) == (0, 0)


async def test_waiting_requests_are_requeued_on_demand_and_only_from_inside() -> None:
    backend = Backend()
    async with stage(backend.serve, Limits(max_concurrency=1)) as staged:
        asking: list[asyncio.Task[bytes]] = []
        for n in range(4):
            asking.append(asyncio.create_task(staged.ask(post(n))))
            await until(lambda n=n: staged.proxy.limiter.running + staged.proxy.limiter.waiting == n + 1)
        order = b"POST /-/requeue HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%bContent-Length: 14\r\n\r\n"
        reported = await staged.ask(order % b"x-gyrus-internal: 1\r\n" + b'{"at_most": 2}')
        assert reported.endswith(b'{"requeued": 2}')
        for n in (1, 2):
            answer = await asking[n]
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nx-gyrus-requeue: 1\r\n" in answer
        for _ in range(2):
            await backend.answer()
        assert b"x-gyrus-requeue" not in b"".join(await asyncio.gather(asking[0], asking[3]))
        outside = asyncio.create_task(staged.ask(order % b"" + b'{"at_most": 2}'))
        assert (await backend.answer()).startswith(b"POST /-/requeue ")
        await outside


async def test_a_replica_that_others_reach_demands_a_proof() -> None:
    backend = Backend()
    load = b"GET /-/load HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-gyrus-internal: 1\r\n%b\r\n"
    async with stage(backend.serve, proof=b"a1b2") as staged:
        assert (await staged.ask(load % b"x-gyrus-proof: a1b2\r\n")).startswith(b"HTTP/1.1 200 ")
        for headers in (b"", b"x-gyrus-proof: a1b3\r\n"):
            stranger = asyncio.create_task(staged.ask(load % headers))
            assert (await backend.answer()).startswith(b"GET /-/load "), "the user's server answers it"
            await stranger


async def test_a_client_that_goes_is_forgotten_waiting_or_served() -> None:
    backend = Backend()
    async with stage(backend.serve, Limits(max_concurrency=1)) as staged:
        _, served = await staged.open()
        served.write(get(0))
        await until(lambda: backend.arrived.qsize() == 1)
        _, waiting = await staged.open()
        waiting.write(get(1))
        await until(lambda: staged.proxy.limiter.waiting == 1)
        waiting.close()
        await until(lambda: staged.proxy.limiter.waiting == 0)
        served.close()
        await backend.closed.wait()
        await until(lambda: staged.proxy.limiter.running == 0)


async def test_a_dead_server_gives_requests_back() -> None:
    async with stage(answering(OK)) as staged:
        staged.proxy.pool = ConnectionPool("127.0.0.1", 1, 1000)
        answer = await staged.ask(get(0))
    assert b"\r\nx-gyrus-requeue: 1\r\n" in answer


@pytest.mark.parametrize("reported", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_a_server_that_does_not_answer_is_a_problem(reported: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(reported)
        await writer.drain()
        writer.close()

    async with stage(serve) as staged:
        answer = await staged.ask(get(0))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert problem(answer)["type"] == "urn:gyrus:problem:upstream-failed"
    assert b"x-gyrus-requeue" not in answer


async def test_request_whose_tries_are_used_up_is_not_forwarded() -> None:
    backend = Backend()
    last_try = get(0).replace(b"\r\n\r\n", b"\r\nx-gyrus-retried: last\r\n\r\n")
    async with stage(backend.serve) as staged:
        answer = await staged.ask(last_try)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert problem(answer)["type"] == "urn:gyrus:problem:upstream-failed"


async def test_an_answer_that_breaks_off_breaks_off_for_the_client() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
        await writer.drain()
        writer.close()

    async with stage(serve) as staged:
        reader, writer = await staged.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await head_of(reader)
        with suppress(ConnectionError):
            assert not (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()


async def test_time_runs_out_in_the_queue_and_at_the_server_but_not_within_a_stream() -> None:
    backend = Backend()
    async with stage(backend.serve, Limits(max_concurrency=1, timeout=0.3)) as staged:
        first, second = await asyncio.gather(staged.ask(get(0)), staged.ask(get(1)))
        for answer in (first, second):
            assert answer.startswith(b"HTTP/1.1 504 ")
            assert problem(answer)["type"] == "urn:gyrus:problem:timeout"

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.sleep(0.5)
        writer.write(b"late")
        await writer.drain()
        writer.close()

    async with stage(slow, Limits(timeout=0.3)) as staged:
        assert (await staged.ask(get(0))).endswith(b"4\r\nlate\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"nonsense\r\n\r\n", "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "bad-request"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "bad-request",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 300_000 + b"\r\n\r\n", "header-too-large"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2001\r\n\r\n", "body-too-large"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n"
            + b"x" * 2001
            + b"\r\n",
            "body-too-large",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "body-timeout"),
        (b"GET / HTTP/1.1\r\nHost:", "body-timeout"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nhi",
            "bad-request",
        ),
    ],
)
async def test_bad_requests_are_refused(data: bytes, kind: str) -> None:
    backend = Backend()
    limits = Limits(max_body=2000, body_timeout=0.2, header_timeout=0.2)
    async with stage(backend.serve, limits) as staged:
        answer = await staged.ask(data)
        assert problem(answer)["type"] == f"urn:gyrus:problem:{kind}"
        await until(lambda: staged.proxy.limiter.running == 0)


async def test_an_early_answer_reaches_the_client() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        writer.close()

    async with stage(serve) as staged:
        reader, writer = await staged.open()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nno")
        writer.close()


async def test_a_client_that_expects_100_continue_gets_it() -> None:
    requests: list[bytes] = []
    async with stage(answering(OK, requests)) as staged:
        reader, writer = await staged.open()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await head_of(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert b"xpect" not in requests[0]


async def test_websockets_pass_in_both_directions() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await head_of(reader)
        assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in head
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome"
        )
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    async with stage(serve, Limits(max_concurrency=1)) as staged:
        reader, writer = await staged.open()
        writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly")
        assert (await head_of(reader)).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert await reader.readexactly(12) == b"welcomeEARLY"
        writer.write(b"more")
        assert await reader.readexactly(4) == b"MORE"
        assert staged.proxy.limiter.running == 1
        writer.close()
        await until(lambda: staged.proxy.limiter.running == 0)


async def test_an_upgrade_that_is_declined_is_an_answer_like_others() -> None:
    async with stage(answering(OK)) as staged:
        answer = await staged.ask(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"connection: close\r\n\r\nok")


async def test_what_is_started_is_finished_and_what_waits_is_requeued_at_the_end() -> None:
    backend = Backend()
    async with stage(backend.serve, Limits(max_concurrency=1)) as staged:
        idle_reader, idle = await staged.open()
        asking = [asyncio.create_task(staged.ask(keep(0)))]
        await until(lambda: staged.proxy.limiter.running == 1)
        asking.append(asyncio.create_task(staged.ask(keep(1))))
        await until(lambda: staged.proxy.limiter.waiting == 1)
        staged.stop.set()
        await until(lambda: staged.proxy.stopping)
        waiting, late = await asking[1], await staged.ask(keep(2))
        for answer in (waiting, late):
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nx-gyrus-requeue: 1\r\n" in answer
            assert problem(answer)["type"] == "urn:gyrus:problem:draining"
        await backend.answer()
        served = await asking[0]
        assert served.startswith(b"HTTP/1.1 200 OK")
        assert b"\r\nconnection: close\r\n" in served
        assert b"\r\nconnection: close\r\n" in waiting
        assert await idle_reader.read() == b""
        idle.close()


async def test_its_own_paths() -> None:
    async with stage(answering(OK)) as staged:
        for path in (b"/healthz", b"/readyz"):
            assert (
                await staged.ask(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
            ).endswith(b"\r\n\r\nok\n")
        await staged.ask(get(0))
        metrics = await staged.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b'gyrus_replica_requests_total{code="200"} 1\n' in metrics
        assert b"gyrus_replica_queued 0.0\n" in metrics


def get(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % number


def keep(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number


def post(number: int) -> bytes:
    return b"POST /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % number


def problem(answer: bytes) -> dict[str, str]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110 - the condition sends no signal
            await asyncio.sleep(0.005)
