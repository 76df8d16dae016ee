"""The client: connections that are kept, by address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gyrus.aio.addresses import UNIX, ClientTls, connect
from gyrus.aio.http.connection import HttpConnection, ResponseLimits
from gyrus.aio.http.errors import ConnectFailed, ConnectionLost, HttpTimeout
from gyrus.aio.http.message import HttpRequest, HttpResponse

DEFAULT_LIMITS = ResponseLimits()


class HttpClient:
    """Sends requests to any number of addresses. Not thread-safe: one event loop owns it.

    An idle connection that the server has closed leaves the pool by itself, so a client keeps nothing of
    servers that are gone. :meth:`close` is the owner's last call.
    """

    def __init__(
        self,
        limits: ResponseLimits = DEFAULT_LIMITS,
        *,
        tls: ClientTls | None = None,
        connections: int = 8,
        keep_alive: bool = True,
    ) -> None:
        """Use at most ``connections`` at once to one address; a request beyond that number waits.

        Without ``keep_alive``, each request has a connection of its own.
        """
        self._limits = limits
        self._tls = tls
        self._connections = connections
        self._keep_alive = keep_alive
        self._pools: dict[str, _Pool] = {}

    async def send(self, address: str, request: HttpRequest, *, timeout: float) -> HttpResponse:
        """Send a request to ``unix:/path`` or ``host:port`` and return the answer. Raises HttpError.

        ``timeout``: seconds for everything, waiting for a connection included.
        """
        host = "localhost" if address.startswith(UNIX) else address
        encoded = request.encode(host, close=not self._keep_alive)
        pool = self._pools.get(address) or self._add_pool(address)
        pool.users += 1
        try:
            async with asyncio.timeout(timeout), pool.permits:
                return await self._exchange(pool, request, encoded)
        except TimeoutError as error:
            raise HttpTimeout(f"{address} has not answered {request.target} within {timeout:g} s") from error
        finally:
            pool.users -= 1
            self._remove_unused(pool)

    def close(self) -> None:
        """Close the idle connections. Those in use close when their exchanges end."""
        self._keep_alive = False
        for pool in tuple(self._pools.values()):
            pool.abort_idle()
            self._remove_unused(pool)

    async def _exchange(self, pool: _Pool, request: HttpRequest, encoded: bytes) -> HttpResponse:
        """Use a kept connection if there is one.

        The server may be closing that one just now: then an idempotent request is sent once more, on a new
        connection.
        """
        kept = pool.take()
        connection = kept or await self._connect(pool)
        try:
            response = await connection.exchange(request, encoded)
        except ConnectionLost:
            if not (kept and connection.silent and request.idempotent):
                raise
            pool.abort_idle()  # the others are as old
            connection = await self._connect(pool)
            response = await connection.exchange(request, encoded)
        if self._keep_alive and connection.reusable:
            pool.idle.append(connection)
        else:
            connection.abort()
        return response

    async def _connect(self, pool: _Pool) -> HttpConnection:
        def lost(connection: HttpConnection) -> None:
            pool.forget(connection)
            self._remove_unused(pool)

        try:
            _, connection = await connect(pool.address, lambda: HttpConnection(self._limits, lost), self._tls)
        except OSError as error:
            raise ConnectFailed(f"no connection to {pool.address}: {error}") from error
        return connection

    def _add_pool(self, address: str) -> _Pool:
        pool = self._pools[address] = _Pool(address, asyncio.Semaphore(self._connections))
        return pool

    def _remove_unused(self, pool: _Pool) -> None:
        if not pool.users and not pool.idle:
            self._pools.pop(pool.address, None)


@dataclass(slots=True, eq=False)
class _Pool:
    """The connections to one address."""

    address: str
    permits: asyncio.Semaphore
    """One for each connection that may be in use. A connection is made only while none is idle, so there are
    never more than these."""
    idle: list[HttpConnection] = field(default_factory=list[HttpConnection])
    """The most recently used comes last, and is used first."""
    users: int = 0
    """Requests under way or waiting."""

    def take(self) -> HttpConnection | None:
        """Remove an idle connection. Returns None if there is none."""
        while self.idle:
            connection = self.idle.pop()
            if connection.reusable:
                return connection
        return None

    def forget(self, connection: HttpConnection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)

    def abort_idle(self) -> None:
        while self.idle:
            self.idle.pop().abort()
