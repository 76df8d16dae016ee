from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from gyrus.runtime.telemetry.backlog_signal import AGAIN, BacklogSignal
from support.serving import eventually


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "backlog"))
        listening.setblocking(False)
        yield listening


async def test_it_signals_once_for_many_and_again_as_long_as_it_must(
    tmp_path: Path, heard: socket.socket
) -> None:
    loop, asked = asyncio.get_running_loop(), list[bool]()

    def needed() -> bool:
        asked.append(len(asked) < 1)
        return asked[-1]

    backlog_socket = BacklogSignal(str(tmp_path / "backlog"), "iris")
    for _ in range(100):
        backlog_socket.notify(needed)
    began = monotonic()
    async with asyncio.timeout(10):
        assert await loop.sock_recv(heard, 100) == b"iris"
        with pytest.raises(BlockingIOError):
            heard.recv(100)
        assert await loop.sock_recv(heard, 100) == b"iris"
    assert monotonic() - began > AGAIN * 0.9
    await eventually(lambda: asked == [True, False])
    with pytest.raises(BlockingIOError):
        heard.recv(100)


@pytest.mark.parametrize("where", [None, "nowhere", "x" * 200])
async def test_a_signal_without_a_receiver_does_no_harm(tmp_path: Path, where: str | None) -> None:
    asked: list[None] = []
    BacklogSignal(where and str(tmp_path / where), "a").notify(lambda: bool(asked.append(None)))
    if where:
        await eventually(lambda: asked)
