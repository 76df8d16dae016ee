"""Hears replicas ring: somebody has to wait there (``ReplicaConfig.bell``)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from pathlib import Path


class _Ears(asyncio.DatagramProtocol):
    def __init__(self, rung: Callable[[str], None]) -> None:
        self._rung = rung

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._rung(data.decode(errors="replace"))


@contextlib.asynccontextmanager
async def hearing(path: Path, rung: Callable[[str], None]) -> AsyncGenerator[None]:
    """``rung`` is called with an API's name whenever one of its replicas rings."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.bind(str(path))
    path.chmod(0o600)
    bound.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Ears(rung), sock=bound)
    try:
        yield
    finally:
        transport.close()
        path.unlink(missing_ok=True)
