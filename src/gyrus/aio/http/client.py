"""The HTTP client, with a pool of connections for each address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gyrus.aio.addresses import UNIX, ClientTls, connect
from gyrus.aio.http.connection import HttpConnection, ResponseLimits
from gyrus.aio.http.errors import ConnectFailed, ConnectionLost, HttpTimeout
from gyrus.aio.http.message import HttpRequest, HttpResponse

DEFAULT_LIMITS = ResponseLimits()


class HttpClient:
    """Client for any number of addresses. It is not thread-safe: one event loop owns it.

    An idle connection leaves the pool when the server closes it, so the client keeps no state of servers that
    are gone. The owner calls :meth:`close` last.
    """

    def __init__(
        self,
        limits: ResponseLimits = DEFAULT_LIMITS,
        *,
        tls: ClientTls | None = None,
        connections: int = 8,
        keep_alive: bool = True,
    ) -> None:
        """Create a client that uses at most ``connections`` to one address; further requests wait.

        If ``keep_alive`` is False, each request uses a new connection.
        """
        self._limits = limits
        self._tls = tls
        self._connections = connections
        self._keep_alive = keep_alive
        self._pools: dict[str, _Pool] = {}

    async def send(self, address: str, request: HttpRequest, *, timeout: float) -> HttpResponse:
        """Send a request to ``unix:/path`` or ``host:port`` and return the answer. Raises HttpError.

        ``timeout``: seconds for the whole exchange, including the wait for a connection.
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
        """Close the idle connections now, and each connection in use when its exchange ends."""
        self._keep_alive = False
        for pool in tuple(self._pools.values()):
            pool.abort_idle()
            self._remove_unused(pool)

    async def _exchange(self, pool: _Pool, request: HttpRequest, encoded: bytes) -> HttpResponse:
        """Send the request on an idle connection, or on a new one if none is idle.

        The server may close an idle connection at the same time. The client then sends an idempotent request
        once more, on a new connection.
        """
        kept = pool.take()
        connection = kept or await self._connect(pool)
        try:
            response = await connection.exchange(request, encoded)
        except ConnectionLost:
            if not (kept and connection.silent and request.idempotent):
                raise
            pool.abort_idle()  # the server has probably closed these as well
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
    """One permit for each connection that may be in use. The client connects only if no connection is idle,
    so this also limits the number of open connections."""
    idle: list[HttpConnection] = field(default_factory=list[HttpConnection])
    """Idle connections. The most recently used one is last and is used next."""
    users: int = 0
    """Requests in progress or waiting for a permit."""

    def take(self) -> HttpConnection | None:
        """Remove and return a reusable idle connection. Returns None if there is none."""
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
