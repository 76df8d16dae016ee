"""All connections of one listener, and their timeouts."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from time import monotonic

from gyrus.contract.replica import Limits
from gyrus.runtime.server.bodies import BodyBudget, most_of
from gyrus.runtime.server.connection import Connection
from gyrus.runtime.server.exchange import Exchange

BACKLOG = 2048
CHECKS = 4
"""Checks of each connection during the shortest timeout, at least."""
SLOWEST_CHECK = 0.5
"""Seconds between two checks, at most."""

Serve = Callable[[Exchange], None]
CountAnswer = Callable[[int, float], None]
"""Callback that takes the status of each begun answer and the seconds since its request was complete."""


class Server:
    """Pass every request to ``serve``, which answers it at once or later."""

    def __init__(self, limits: Limits, serve: Serve, tally: CountAnswer) -> None:
        self.limits = limits
        self.serve = serve
        self.tally = tally
        self.bodies = BodyBudget(most_of(limits))
        """The memory for the bodies of all connections."""
        self.connections: set[Connection] = set()
        self.closing = False
        """True if every answer ends its connection."""
        self.lost: Callable[[], None] | None = None
        """Callback after the end of each connection."""

    async def listen(self, bound: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if bound.family == socket.AF_UNIX:
            return await loop.create_unix_server(lambda: Connection(self), sock=bound, backlog=BACKLOG)
        return await loop.create_server(lambda: Connection(self), sock=bound, backlog=BACKLOG)

    async def keep_time(self) -> None:
        """End connections that exceed a timeout, until cancelled."""
        limits = self.limits
        shortest = min(limits.header_timeout, limits.body_timeout, limits.keep_alive)
        while True:
            await asyncio.sleep(min(shortest / CHECKS, SLOWEST_CHECK))
            now = monotonic()
            for connection in tuple(self.connections):
                connection.check(now)

    def close_idle(self, idle_for: float) -> None:
        """End connections that have been idle for this many seconds."""
        now = monotonic()
        for connection in tuple(self.connections):
            if connection.idle and now - connection.idle_since() >= idle_for:
                connection.close()


def bind(address: str) -> socket.socket:
    """``address``: ``unix:/path`` or ``host:port``. Raises OSError, ValueError."""
    if address.startswith("unix:"):
        return bind_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return bind_tcp(host.strip("[]"), int(port))


def bind_tcp(host: str, port: int) -> socket.socket:
    """Bind a TCP socket. Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def bind_unix(path: str) -> socket.socket:
    """Bind a socket that appears at ``path`` only when it accepts connections, and replaces a file there.

    Raises OSError.
    """
    # A short name: the path of a Unix socket has at most 107 bytes.
    temporary = os.path.join(os.path.dirname(path), f".{os.getpid()}")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(temporary)
        bound.listen(BACKLOG)
        os.rename(temporary, path)
    except OSError:
        bound.close()
        raise
    return bound
