"""All connections of one listener, and the time that they may take."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from time import monotonic

from gyrus.contract.replica import Limits
from gyrus.runtime.server.connection import Connection
from gyrus.runtime.server.exchange import Exchange

BACKLOG = 2048
CHECKS = 4
"""A connection's time is looked at so many times during the shortest that it may take, at least."""
SLOWEST_CHECK = 0.5
"""Seconds."""

Serve = Callable[[Exchange], None]
Tally = Callable[[int, float], None]
"""Is told the status of each answer that begins, and the seconds since its request was complete."""


class Server:
    """Hands every request to ``serve``, which answers it then or later."""

    def __init__(self, limits: Limits, serve: Serve, tally: Tally) -> None:
        self.limits = limits
        self.serve = serve
        self.tally = tally
        self.connections: set[Connection] = set()
        self.closing = False
        """Every answer ends its connection."""
        self.lost: Callable[[], None] | None = None
        """Called after each end of a connection."""

    async def listen(self, bound: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if bound.family == socket.AF_UNIX:
            return await loop.create_unix_server(lambda: Connection(self), sock=bound, backlog=BACKLOG)
        return await loop.create_server(lambda: Connection(self), sock=bound, backlog=BACKLOG)

    async def keep_time(self) -> None:
        """End connections that take too long. Until cancelled."""
        limits = self.limits
        shortest = min(limits.header_timeout, limits.body_timeout, limits.keep_alive)
        while True:
            await asyncio.sleep(min(shortest / CHECKS, SLOWEST_CHECK))
            now = monotonic()
            for connection in tuple(self.connections):
                connection.check(now)

    def close_idle(self, idle_for: float) -> None:
        """End connections on which nothing has happened for so many seconds."""
        now = monotonic()
        for connection in tuple(self.connections):
            if connection.idle and now - connection.idle_since() >= idle_for:
                connection.close()


def bind_tcp(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def bind_unix(path: str) -> socket.socket:
    """A socket that appears at ``path`` only when it takes connections; it replaces what was there.

    Raises OSError.
    """
    temporary = os.path.join(os.path.dirname(path), f".{os.getpid()}")  # short: there is a limit
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(temporary)
        bound.listen(BACKLOG)
        os.rename(temporary, path)
    except OSError:
        bound.close()
        raise
    return bound
