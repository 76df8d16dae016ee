"""A look at a database, by an operator that does not lead: it must change nothing."""

from __future__ import annotations

from sqlalchemy import select

from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine


class SqlStoreCheck:
    """Checks whether a database answers. It needs no schema."""

    def __init__(self, url: str) -> None:
        """Create it, without a connection. Raises StoreUnusable if the URL is not one of a database."""
        self._database = Database(create_engine(url))

    async def check(self) -> None:
        """Raise StateError if the database does not answer."""
        async with self._database.reading() as connection:
            await connection.execute(select(1))

    async def close(self) -> None:
        await self._database.close()
