"""The socket on which supervisors report a changed status, by a datagram with the replica's id."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

LONGEST_ID = 256


@contextmanager
def status_notifications(path: Path, notice: Callable[[str], None]) -> Generator[None]:
    """Call ``notice`` with the id in every datagram. A lost one only delays the notice to the next read."""
    path.unlink(missing_ok=True)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(str(path))
        loop.add_reader(receiver.fileno(), _take, receiver, notice)
        try:
            yield
        finally:
            loop.remove_reader(receiver.fileno())
            path.unlink(missing_ok=True)


def _take(receiver: socket.socket, notice: Callable[[str], None]) -> None:
    while True:
        try:
            datagram = receiver.recv(LONGEST_ID)
        except BlockingIOError:
            return
        notice(datagram.decode(errors="replace"))
