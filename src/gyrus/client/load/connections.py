"""The connections of a load: kept alive, reused, one for each request in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gyrus.client.load.address import Address
from gyrus.client.load.connection import LoadConnection


class Connections:
    """The connections to one address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[LoadConnection] = []

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[LoadConnection]:
        """Yield a free or new connection; keep it for the next request if the block succeeds.

        Raises OSError.
        """
        connection = self._free() or await self._new()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _free(self) -> LoadConnection | None:
        """Return the free connection that was used last, so that the others idle until they are closed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None

    async def _new(self) -> LoadConnection:
        address = self._address
        _, connection = await asyncio.get_running_loop().create_connection(
            LoadConnection, address.host, address.port, ssl=address.context
        )
        return connection
