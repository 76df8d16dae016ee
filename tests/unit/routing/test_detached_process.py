"""Processes that outlive us, ports that others have, files that grow."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from gyrus.routing import detached_process as processes
from gyrus.routing.admin import Admin, AdminError
from gyrus.routing.detached_process import DetachedProcess, spawn
from gyrus.routing.errors import GatewayPortTaken
from gyrus.routing.log_rotation import is_due, rotate
from gyrus.routing.ports import check_free


@pytest.fixture(params=["watched", "polled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "polled":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
        monkeypatch.setattr(processes, "POLL", 0.01)
    return request.param


@pytest.mark.processes
@pytest.mark.usefixtures("way")
async def test_end_of_a_process_is_noticed(tmp_path: Path) -> None:
    process = spawn([sys.executable, "-c", "input()"], tmp_path / "out")  # its input is at its end at once
    async with asyncio.timeout(10):
        await process.ended()
    assert not process.alive
    assert "EOFError" in (tmp_path / "out").read_text()


@pytest.mark.processes
async def test_process_has_no_parent_and_can_be_ended(tmp_path: Path) -> None:
    process = spawn(["/bin/sleep", "60"], tmp_path / "out")
    assert process.alive
    assert os.getsid(process.pid) != os.getsid(0)
    assert psutil.Process(process.pid).ppid() != os.getpid()
    assert DetachedProcess.find(process.pid) == process
    process.send(signal.SIGKILL)
    async with asyncio.timeout(10):
        await process.ended()
    assert DetachedProcess.find(process.pid) is None
    process.send(signal.SIGKILL)  # does nothing


def test_another_process_of_the_same_id_is_not_it() -> None:
    mine = DetachedProcess.find(os.getpid())
    assert mine is not None
    assert mine.alive
    assert not DetachedProcess(mine.pid, mine.started - 1000).alive


def test_free_port_passes_and_a_privileged_or_foreign_address_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(GatewayPortTaken, match=rf"127\.0\.0\.1:{port}: .*--gateway-port"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)
    with pytest.raises(GatewayPortTaken, match=r"192\.0\.2\.1"):
        check_free("192.0.2.1", port)


async def test_admin_reads_both_kinds_of_bodies_and_refusals(tmp_path: Path) -> None:
    answers = [
        b'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"a": 1}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n4\r\n: 2}\r\n0\r\n\r\n',
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        b"",
    ]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        writer.close()

    path = tmp_path / "admin"
    async with await asyncio.start_unix_server(answer, path):
        admin = Admin(path)
        assert await admin.json("/x") == {"a": 1}
        assert await admin.json("/x") == {"a": 2}
        with pytest.raises(AdminError, match="404"):
            await admin.json("/x")
        with pytest.raises(AdminError, match="does not answer"):
            await admin.json("/x")
        if sys.platform in ("linux", "darwin"):
            assert await asyncio.to_thread(admin.peer) == os.getpid()
    path.unlink(missing_ok=True)
    with pytest.raises(AdminError, match="does not answer"):
        await admin.json("/x")
    assert admin.peer() is None


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    assert not is_due(log, 3)
    for number in range(5):
        log.write_text(f"log {number}")
        assert is_due(log, 3)
        rotate(log, keep=2)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "access.log.1": "log 4",
        "access.log.2": "log 3",
    }
