"""Receives the notifications of replicas that a request has to wait (``ReplicaConfig.backlog_socket``)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from pathlib import Path


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, notified: Callable[[str], None]) -> None:
        self._notified = notified

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._notified(data.decode(errors="replace"))


@contextlib.asynccontextmanager
async def receiving(path: Path, notified: Callable[[str], None]) -> AsyncGenerator[None]:
    """Call ``notified`` with an API's name whenever one of its replicas sends a notification."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.bind(str(path))
    path.chmod(0o600)
    bound.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Receiver(notified), sock=bound)
    try:
        yield
    finally:
        transport.close()
        path.unlink(missing_ok=True)
