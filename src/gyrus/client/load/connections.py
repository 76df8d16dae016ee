"""The connections of a load: kept alive, used again, as many as there are requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gyrus.client.load.address import Address
from gyrus.client.load.connection import LoadConnection


class Connections:
    """To one address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[LoadConnection] = []

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[LoadConnection]:
        """A free one or a new one; kept for the next if the block ends well. Raises OSError."""
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
        """The one that was used last: the others stay idle until the other side closes them."""
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
