"""The bounds of connections and bodies: none of them makes the API deaf."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi import FastAPI

from gyrus.server import acceptor, bodies, connection, deployments
from gyrus.server.context import ServerContext
from gyrus.server.listening import ApiListener, CannotListen, listen_in_home
from gyrus.server.serving import serve

GET = b"GET /v1/info HTTP/1.1\r\nhost: operator\r\n\r\n"
MOST = 4


@asynccontextmanager
async def served(app: FastAPI, path: Path, most: int = 256) -> AsyncGenerator[ApiListener]:
    listener, started = replace(listen_in_home(path), most=most), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(app, [listener], started=started, grace=1))
        await started.wait()
        yield listener
        serving.cancel()


@pytest.fixture
async def path(app: FastAPI, tmp_path: Path) -> AsyncIterator[Path]:
    """The socket of a served API with few connections."""
    async with served(app, tmp_path / "s", MOST):
        yield tmp_path / "s"


async def ask(path: Path, request: bytes = GET) -> bytes:
    """The whole answer to a request, until the connection ends."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"}")
    finally:
        writer.close()


async def test_the_socket_needs_no_token_and_is_its_owners_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await ask(path)).startswith(b"HTTP/1.1 200 ")


async def test_the_socket_is_gone_afterwards_unless_another_one_is_there(
    app: FastAPI, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    async with served(app, path):
        later = listen_in_home(path)
    assert path.exists()
    later.close()
    assert not path.exists()


def test_a_file_system_without_sockets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: socket.socket, __: str) -> None:
        raise OSError(errno.EPERM, "no sockets here")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotListen, match="Set GYRUS_HOME"):
        listen_in_home(tmp_path / "s")


async def test_other_users_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "peer_uid", Mock(return_value=os.geteuid() + 1))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await ask(path)
    monkeypatch.setattr(acceptor, "peer_uid", Mock(return_value=0))
    assert (await ask(path)).startswith(b"HTTP/1.1 200 ")


async def test_connections_without_a_request_end_for_new_ones(path: Path) -> None:
    idle = [await asyncio.open_unix_connection(path) for _ in range(3 * MOST)]
    idle[-1][1].write(GET[:10])
    assert (await ask(path)).startswith(b"HTTP/1.1 200 ")
    async with asyncio.timeout(10):
        assert await idle[0][0].read() == b""
    for _, writer in idle:
        writer.close()


async def test_connections_with_a_request_stay(path: Path) -> None:
    watch = GET.replace(b"info", b"watch")
    watching = [await asyncio.open_unix_connection(path) for _ in range(MOST)]
    for reader, writer in watching:
        writer.write(watch)
        assert b"200" in await reader.readline()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await ask(path)
    watching.pop()[1].close()
    while True:
        try:
            assert (await ask(path)).startswith(b"HTTP/1.1 200 ")
            break
        except (asyncio.IncompleteReadError, ConnectionError):
            await asyncio.sleep(0.01)
    for _, writer in watching:
        writer.close()


@pytest.mark.parametrize("sent", [b"", GET[:-2], GET + GET[:10]])
async def test_a_header_must_arrive_in_time(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT", 0.2)
    async with served(app, tmp_path / "s"), asyncio.timeout(10):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(sent)
        try:
            await reader.read()
        except ConnectionError:
            pass
        writer.close()


async def test_a_body_must_arrive_in_time(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)
    async with served(app, tmp_path / "s"):
        answer = await ask(tmp_path / "s", post("/v1/deployments", b"{", 100))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body-timeout" in answer


@pytest.mark.parametrize(
    ("path_", "limit"),
    [
        ("/v1/deployments", bodies.LARGEST_DEPLOYMENT),
        ("/v1/apis/iris/rollback", bodies.LARGEST),
        ("/v1/stop", bodies.LARGEST),
    ],
)
async def test_a_body_has_a_largest_size(path: Path, path_: str, limit: int) -> None:
    answer = await ask(path, post(path_, b"", limit + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body-too-large" in answer


async def test_a_body_without_a_length_is_bounded_too(path: Path) -> None:
    head = b"POST /v1/deployments HTTP/1.1\r\nhost: o\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = await ask(path, head + chunk * (bodies.LARGEST_DEPLOYMENT // 0x10000 + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_deployment_has_a_largest_number_of_apis(path: Path) -> None:
    content = json.dumps({"apis": [{}] * (deployments.MOST + 1), "package": None}).encode()
    answer = await ask(path, post("/v1/deployments", content))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"at most 1000" in answer
    assert len(answer) < 2000


async def test_few_faults_are_reported(path: Path) -> None:
    content = json.dumps({"apis": [{}] * deployments.MOST, "package": None}).encode()
    answer = await ask(path, post("/v1/deployments", content))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"more" in answer
    assert len(answer) < 100_000


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"apis": ' + b"[" * 100_000])
async def test_what_cannot_be_read_is_refused(path: Path, content: bytes) -> None:
    answer = await ask(path, post("/v1/deployments", content))
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_the_loop_stays_free_while_specifications_are_checked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, checking, free = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def slow(*_: Any) -> Any:
        loop.call_soon_threadsafe(checking.set)
        asyncio.run_coroutine_threadsafe(free.wait(), loop).result(10)
        return ()

    monkeypatch.setattr(deployments, "check", slow)
    content = json.dumps({"apis": [{}], "package": None}).encode()
    asked = asyncio.create_task(ask(path, post("/v1/deployments", content)))
    await checking.wait()
    assert (await ask(path)).startswith(b"HTTP/1.1 200 ")
    free.set()
    await asyncio.wait([asked])


async def test_without_files_it_waits_and_reports_that(
    context: ServerContext, app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(acceptor, "PAUSE", 0.01)
    loop, refused = asyncio.get_running_loop(), 3
    accept = loop.sock_accept

    async def exhausted(listener: socket.socket) -> Any:
        nonlocal refused
        if refused:
            refused -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", exhausted)
    with caplog.at_level(logging.ERROR):
        async with served(app, tmp_path / "s"):
            assert (await ask(tmp_path / "s")).startswith(b"HTTP/1.1 200 ")
    assert "Too many open files. Raise the limit of open files (ulimit -n)" in caplog.text


def post(path: str, content: bytes, length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    head = (
        f"POST {path} HTTP/1.1\r\nhost: o\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    )
    return head.encode() + content
