"""The client against real sockets, with servers that behave in every way that they should not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gyrus.aio.addresses import ClientTls
from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.connection import ResponseLimits
from gyrus.aio.http.errors import (
    ConnectFailed,
    ConnectionLost,
    HttpError,
    HttpTimeout,
    MalformedResponse,
    ResponseTooLarge,
)
from gyrus.aio.http.message import HttpRequest, HttpResponse
from support.tls import Authority
from support.upstreams import until

GET = HttpRequest("GET", "/x")
POST = HttpRequest("POST", "/x", {"content-type": "text/plain"}, b"work")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LIMITS = ResponseLimits(head=1000, body=2000)

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(eq=False)
class Server:
    """Reads requests, and leaves to the test what comes back."""

    behave: Behave
    address: str = ""
    opened: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    heads: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open.add(writer)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = int(head.partition("content-length: ")[2].split()[0])
                self.bodies.append(await reader.readexactly(length))
                await self.behave(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    def close_connections(self) -> None:
        for writer in self.open:
            writer.close()


def sends(*pieces: bytes, close: bool = False) -> Behave:
    """Each piece arrives by itself."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        if close:
            writer.close()

    return behave


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the client closes the connection."""
    await reader.read()


@asynccontextmanager
async def serving(
    where: Path | str, behave: Behave, context: ssl.SSLContext | None = None
) -> AsyncGenerator[Server]:
    """On a Unix socket, or on a port of a host."""
    server = Server(behave)
    if isinstance(where, Path):
        listening = await asyncio.start_unix_server(server.serve, where, ssl=context)
        server.address = f"unix:{where}"
    else:
        listening = await asyncio.start_server(server.serve, where, 0, ssl=context)
        server.address = f"{where}:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for writer in tuple(server.open):
            writer.transport.abort()


async def ask(server: Server, request: HttpRequest = GET, *, tls: ClientTls | None = None) -> HttpResponse:
    """With a client for this request alone."""
    client = HttpClient(LIMITS, tls=tls)
    try:
        return await client.send(server.address, request, timeout=5)
    finally:
        client.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


class TestAnswers:
    @pytest.mark.parametrize("where", ["unix", "127.0.0.1"])
    async def test_comes_with_status_headers_and_body(self, path: Path, where: str) -> None:
        answer = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\ncontent-length: 4\r\n\r\nnone"
        async with serving(path if where == "unix" else where, sends(answer)) as server:
            response = await ask(server, POST)
        assert (response.status, response.body) == (404, b"none")
        assert response.header("content-type") == response.header("Content-Type") == "text/plain"
        assert response.header("date") is None
        (head,) = server.heads
        host = "localhost" if where == "unix" else server.address
        assert head.splitlines()[0] == "POST /x HTTP/1.1"
        assert {f"host: {host}", "content-type: text/plain", "content-length: 4"} < set(head.splitlines())
        assert server.bodies == [b"work"]

    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n",
                b"abcde",
            ),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n", b"a"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nlink: a\r\n\r\n" + OK, b"ok"),
        ],
    )
    async def test_is_the_same_however_its_bytes_are_split(
        self, path: Path, answer: bytes, body: bytes
    ) -> None:
        async with serving(path, sends(answer)) as server:
            client = HttpClient(LIMITS)
            whole = await client.send(server.address, GET, timeout=5)
            server.behave = sends(*(answer[at : at + 1] for at in range(len(answer))))
            split = await client.send(server.address, GET, timeout=5)
            assert whole == split
            assert whole.body == body
            assert server.opened == 1
            client.close()

    async def test_without_a_length_ends_with_the_connection(self, path: Path) -> None:
        answer = (b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n", b"abc", b"def")
        async with serving(path, sends(*answer, close=True)) as server:
            assert (await ask(server)).body == b"abcdef"

    async def test_to_head_has_no_body_whatever_its_length(self, path: Path) -> None:
        async with serving(path, sends(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")) as server:
            response = await ask(server, HttpRequest("HEAD", "/x"))
            assert (response.body, response.header("content-length")) == (b"", "5")


class TestFaults:
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (b"", ConnectionLost),
            (b"HTTP/1.1 200 OK\r\ncontent-le", ConnectionLost),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", ConnectionLost),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", ConnectionLost),
            (b"HTTP/1.1 100 Continue\r\n\r\n", ConnectionLost),
            (b"SSH-2.0-OpenSSH_9.2\r\n", MalformedResponse),
            (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", MalformedResponse),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                MalformedResponse,
            ),
            (b"HTTP/1.1 101 X\r\nupgrade: y\r\nconnection: upgrade\r\n\r\n", MalformedResponse),
        ],
    )
    async def test_an_answer_that_is_cut_off_or_is_not_http(
        self, path: Path, answer: bytes, error: type[HttpError]
    ) -> None:
        async with serving(path, sends(answer, close=True)) as server:
            with pytest.raises(error):
                await ask(server)
            assert server.opened == 1

    @pytest.mark.parametrize("close", [True, False])
    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000 + b"\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1000,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: " + b"y" * 1000,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"y" * 1000,
            b"HTTP/1.1 200 OK\r\ncontent-length: 2001\r\n\r\n" + b"y" * 2001,
            b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 2001,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"y" * 1000 + b"\r\n"
            b"3e9\r\n" + b"y" * 1001 + b"\r\n0\r\n\r\n",
        ],
    )
    async def test_an_answer_over_the_limits(self, path: Path, answer: bytes, close: bool) -> None:
        async with serving(path, sends(answer, close=close)) as server:
            with pytest.raises(ResponseTooLarge):
                await ask(server)
            await until(lambda: not server.open)

    async def test_an_answer_within_the_limits_in_chunks_of_a_byte(self, path: Path) -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\ny\r\n" * 2000 + b"0\r\n\r\n"
        )
        async with serving(path, sends(answer)) as server:
            assert (await ask(server)).body == b"y" * 2000

    async def test_no_server(self, path: Path) -> None:
        with pytest.raises(ConnectFailed, match=str(path)):
            await ask(Server(hang, f"unix:{path}"))
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectFailed):
                await ask(Server(hang, f"127.0.0.1:{bound.getsockname()[1]}"))

    @pytest.mark.parametrize(
        "fault", [("GET", "/x y", "", ""), ("GET", "/x\r\n", "", ""), ("G T", "/", "", "")]
    )
    def test_a_request_that_would_be_two(self, fault: tuple[str, str, str, str]) -> None:
        with pytest.raises(ValueError, match="first line"):
            HttpRequest(fault[0], fault[1])
        with pytest.raises(ValueError, match="header"):
            HttpRequest("GET", "/", {"x": "y\r\nz: a"})


class TestTime:
    @pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"])
    async def test_a_slow_server_is_left_and_its_connection_closed(self, path: Path, begun: bytes) -> None:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(begun)
            await reader.read()

        async with serving(path, behave) as server:
            client = HttpClient(LIMITS)
            with pytest.raises(HttpTimeout, match=r"/x within 0\.05 s"):
                await client.send(server.address, GET, timeout=0.05)
            await until(lambda: not server.open)
            server.behave = sends(OK)
            assert (await client.send(server.address, GET, timeout=5)).body == b"ok"
            client.close()

    async def test_waiting_for_a_connection_counts(self, path: Path) -> None:
        async with serving(path, hang) as server:
            client = HttpClient(LIMITS, connections=1)
            first = asyncio.create_task(client.send(server.address, GET, timeout=5))
            await until(lambda: server.heads)
            with pytest.raises(HttpTimeout):
                await client.send(server.address, GET, timeout=0.05)
            first.cancel()
            await asyncio.wait([first])
            assert server.opened == 1

    @pytest.mark.parametrize("step", range(8))
    async def test_cancelled_at_any_moment_nothing_stays_open(self, path: Path, step: int) -> None:
        async with serving(path, hang) as server:
            before = sockets()
            client = HttpClient(LIMITS)
            task = asyncio.create_task(client.send(server.address, GET, timeout=5))
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: sockets() == before)
            assert not server.open
            client.close()


class TestConnections:
    async def test_are_used_again(self, path: Path) -> None:
        async with serving(path, sends(OK)) as server:
            client = HttpClient(LIMITS)
            for _ in range(3):
                await client.send(server.address, POST, timeout=5)
            assert server.opened == len(server.open) == 1
            client.close()
            await until(lambda: not server.open)

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
            OK + OK,
        ],
    )
    async def test_are_closed_if_the_server_asks_for_it_or_sends_too_much(
        self, path: Path, answer: bytes
    ) -> None:
        async with serving(path, sends(answer)) as server:
            client = HttpClient(LIMITS)
            for number in (1, 2):
                assert (await client.send(server.address, GET, timeout=5)).body == b"ok"
                assert server.opened == number
            client.close()

    async def test_bytes_without_a_request_are_no_answer(self, path: Path) -> None:
        async with serving(path, sends(OK)) as server:
            client = HttpClient(LIMITS)
            await client.send(server.address, GET, timeout=5)
            (writer,) = server.open
            writer.write(OK.replace(b"ok", b"no"))
            await until(lambda: not server.open)
            assert (await client.send(server.address, GET, timeout=5)).body == b"ok"
            client.close()

    async def test_are_never_more_than_the_bound(self, path: Path) -> None:
        most = 0

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal most
            most = max(most, len(server.open))
            await sends(OK)(reader, writer)

        async with serving(path, behave) as server:
            client = HttpClient(LIMITS, connections=3)
            await asyncio.gather(*(client.send(server.address, GET, timeout=5) for _ in range(20)))
            assert (len(server.heads), server.opened, most) == (20, 3, 3)
            client.close()

    async def test_one_for_each_request_where_none_is_kept(self, path: Path) -> None:
        async with serving(path, sends(OK)) as server:
            client = HttpClient(LIMITS, keep_alive=False)
            for _ in range(2):
                await client.send(server.address, GET, timeout=5)
            await until(lambda: not server.open)
            assert server.opened == 2
            assert all("connection: close" in head for head in server.heads)

    async def test_that_the_server_closed_while_idle_are_made_again(self, path: Path) -> None:
        async with serving(path, sends(OK)) as server:
            client = HttpClient(LIMITS)
            for number in (1, 2):
                await client.send(server.address, POST, timeout=5)
                assert server.opened == number
                server.close_connections()
                await until(lambda: not server.open)
            client.close()

    async def test_closed_under_a_request_it_is_sent_once_more_if_it_is_idempotent(self, path: Path) -> None:
        async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.behave = sends(OK)
            writer.close()

        async with serving(path, sends(OK)) as server:
            client = HttpClient(LIMITS)
            await client.send(server.address, GET, timeout=5)
            server.behave = close
            assert (await client.send(server.address, GET, timeout=5)).body == b"ok"
            assert (len(server.heads), server.opened) == (3, 2)
            server.behave = close
            with pytest.raises(ConnectionLost):
                await client.send(server.address, POST, timeout=5)
            assert (len(server.heads), server.opened) == (4, 2)
            client.close()

    async def test_a_server_that_always_closes_is_asked_twice_at_most(self, path: Path) -> None:
        async with serving(path, sends(OK)) as server:
            client = HttpClient(LIMITS)
            await client.send(server.address, GET, timeout=5)
            server.behave = sends(close=True)
            with pytest.raises(ConnectionLost):
                await client.send(server.address, GET, timeout=5)
            assert len(server.heads) == 3
            client.close()


class TestTls:
    @pytest.mark.parametrize("where", ["unix", "127.0.0.1"])
    async def test_with_a_certificate_of_the_right_name(self, path: Path, where: str) -> None:
        authority = Authority()
        tls = ClientTls(authority.client(), "replica.test")
        context = authority.server("replica.test")
        async with serving(path if where == "unix" else where, sends(OK), context) as server:
            client = HttpClient(LIMITS, tls=tls)
            for _ in range(2):
                assert (await client.send(server.address, GET, timeout=5)).body == b"ok"
            assert server.opened == 1
            client.close()

    async def test_the_address_is_the_name_where_none_is_given(self) -> None:
        authority = Authority()
        async with serving("127.0.0.1", sends(OK), authority.server("127.0.0.1")) as server:
            assert (await ask(server, tls=ClientTls(authority.client()))).body == b"ok"

    async def test_another_name_or_authority_is_refused(self, path: Path) -> None:
        authority = Authority()
        async with serving(path, sends(OK), authority.server("replica.test")) as server:
            with pytest.raises(ConnectFailed, match=r"other\.test"):
                await ask(server, tls=ClientTls(authority.client(), "other.test"))
            with pytest.raises(ConnectFailed, match="certificate verify failed"):
                await ask(server, tls=ClientTls(Authority().client(), "replica.test"))
            assert not server.heads

    async def test_a_server_may_require_a_clients_certificate(self, path: Path) -> None:
        authority, stranger = Authority(), Authority()
        context = authority.server("replica.test", clients=authority)
        async with serving(path, sends(OK), context) as server:
            known = ClientTls(authority.client("operator.test"), "replica.test")
            assert (await ask(server, tls=known)).body == b"ok"
            for client in (authority.client(), authority.client("operator.test", issuer=stranger)):
                with pytest.raises(HttpError):
                    await ask(server, tls=ClientTls(client, "replica.test"))
            assert len(server.heads) == 1

    async def test_a_server_without_it(self, path: Path) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            writer.close()

        async with await asyncio.start_unix_server(refuse, path):
            with pytest.raises(ConnectFailed):
                await ask(Server(hang, f"unix:{path}"), tls=ClientTls(Authority().client(), "replica.test"))

    async def test_cancelled_in_the_handshake_nothing_stays_open(self, path: Path) -> None:
        arrived = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            arrived.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_unix_server(accept, path):
            before = sockets()
            client = HttpClient(LIMITS, tls=ClientTls(Authority().client(), "replica.test"))
            task = asyncio.create_task(client.send(f"unix:{path}", GET, timeout=5))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: sockets() == before)


def sockets() -> int:
    """How many this process has open."""
    return sum(
        str(link.readlink()).startswith("socket:")
        for link in Path("/proc/self/fd").iterdir()
        if link.is_symlink()
    )
