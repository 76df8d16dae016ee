"""Connections to the server behind the proxy."""

from __future__ import annotations

import asyncio
from time import monotonic

from gyrus.runtime.queue_proxy.message import CHUNK, Answers

REUSE = 1.0
"""Seconds for which an idle connection may be used again.

Servers close idle connections after some seconds, and a request on a closing connection could be lost.
"""


class Upstream(asyncio.StreamReaderProtocol):
    """One connection. Unexpected bytes spoil it, because they would be taken for the next answer."""

    def __init__(self, max_header: int) -> None:
        self.reader = asyncio.StreamReader(limit=CHUNK)
        super().__init__(self.reader)
        self.answers = Answers(self.reader, max_header)
        self.writer: asyncio.StreamWriter
        self.idle_since: float | None = None
        self.spoilt = False

    def data_received(self, data: bytes) -> None:
        if self.idle_since is None:
            super().data_received(data)
        else:
            self.spoilt = True

    def eof_received(self) -> bool | None:
        self.spoilt = self.spoilt or self.idle_since is not None
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.spoilt = True
        super().connection_lost(exc)

    def close(self) -> None:
        self.writer.transport.abort()


class ConnectionPool:
    """Idle connections to the server, for reuse."""

    def __init__(self, host: str, port: int, max_header: int) -> None:
        self._host, self._port = host, port
        self._max_header = max_header
        self._idle: list[Upstream] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def connect(self) -> Upstream:
        """Return an idle connection or a new one. Raises OSError."""
        now = monotonic()
        while self._idle:
            upstream = self._idle.pop()
            if _is_fresh(upstream, now):
                upstream.idle_since = None
                return upstream
            upstream.close()
        return await self._open()

    def release(self, upstream: Upstream) -> None:
        """Keep a connection whose answer is complete for reuse."""
        if upstream.spoilt or not upstream.answers.between_messages:
            upstream.close()
            return
        upstream.idle_since = monotonic()
        self._idle.append(upstream)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(REUSE, self._close_idle)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for upstream in self._idle:
            upstream.close()
        self._idle.clear()

    async def _open(self) -> Upstream:
        loop = asyncio.get_running_loop()
        transport, upstream = await loop.create_connection(
            lambda: Upstream(self._max_header), self._host, self._port
        )
        upstream.writer = asyncio.StreamWriter(transport, upstream, upstream.reader, loop)
        return upstream

    def _close_idle(self) -> None:
        now = monotonic()
        for upstream in self._idle:
            if not _is_fresh(upstream, now):
                upstream.close()
        self._idle = [upstream for upstream in self._idle if _is_fresh(upstream, now)]
        again = asyncio.get_running_loop().call_later
        self._sweep = again(REUSE, self._close_idle) if self._idle else None


def _is_fresh(upstream: Upstream, now: float) -> bool:
    return not upstream.spoilt and upstream.idle_since is not None and now - upstream.idle_since < REUSE
