"""The relay of a request that may be sent only once: bytes pass in both directions, unread."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import cast

from gyrus.aio import addresses

PATIENCE = 1.0
"""Seconds that a replica may take to accept a connection."""


class Relay(asyncio.Protocol):
    """The replica's side of the relay. When one side ends, the relay ends the other."""

    def __init__(self, client: asyncio.Transport, endpoint: str, passing: Counter[str]) -> None:
        """Create the relay. It counts itself in ``passing``: the relayed requests by endpoint."""
        self._client = client
        self._endpoint = endpoint
        self._passing = passing
        self._abandoned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._passing[self._endpoint] += 1

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._passing -= Counter({self._endpoint: 1})
        if not self._abandoned:
            self._client.close()

    def abandon(self) -> None:
        self._abandoned = True


async def connect(
    client: asyncio.Transport, endpoint: str, passing: Counter[str]
) -> asyncio.Transport | None:
    """Connect to the replica. Returns None if it takes no connection."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            transport, _ = await addresses.connect(endpoint, lambda: Relay(client, endpoint, passing))
            return transport
    return None


def abandon(onward: asyncio.Transport) -> None:
    """End the connection to the replica without use, and leave the client's side open."""
    cast("Relay", onward.get_protocol()).abandon()
    onward.abort()
