"""Connections to the server that the front stands before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic

from gyrus.runtime.front.message import CHUNK, Answers

REUSE = 1.0
"""Seconds for which an idle connection is used again. Servers close idle ones after some seconds; with one
that may just be closing, a request could be lost."""


@dataclass(slots=True, eq=False)
class Upstream:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answers: Answers
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        return not self.writer.is_closing() and not self.reader.at_eof()

    def close(self) -> None:
        self.writer.transport.abort()


class Pool:
    def __init__(self, host: str, port: int, max_header: int) -> None:
        self._host, self._port = host, port
        self._max_header = max_header
        self._idle: list[Upstream] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def connect(self) -> Upstream:
        """Raises OSError."""
        while self._idle:
            upstream = self._idle.pop()
            if upstream.usable and monotonic() - upstream.idle_since < REUSE:
                return upstream
            upstream.close()
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=CHUNK)
        return Upstream(reader, writer, Answers(reader, self._max_header))

    def release(self, upstream: Upstream) -> None:
        """It has answered, and may do so again."""
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

    def _close_idle(self) -> None:
        now = monotonic()
        kept = [upstream for upstream in self._idle if now - upstream.idle_since < REUSE and upstream.usable]
        for upstream in self._idle:
            if upstream not in kept:
                upstream.close()
        self._idle = kept
        again = kept[0].idle_since + REUSE - now if kept else None
        self._sweep = asyncio.get_running_loop().call_later(again, self._close_idle) if again else None
