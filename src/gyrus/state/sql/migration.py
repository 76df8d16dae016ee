"""Brings a database's schema up to this version's."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from gyrus.state.errors import StoreUnusable
from gyrus.state.sql.database import Database

MIGRATIONS = Path(__file__).with_name("migrations")


async def upgrade(database: Database) -> None:
    """Apply missing migrations, all or none. Of two that open at once, the second finds it done."""
    async with database.writing() as connection:
        try:
            await connection.run_sync(_upgrade)
        except CommandError as error:
            raise StoreUnusable(
                f"{database.name} was written by another version of gyrus: {error}; "
                "use that version, or a newer one"
            ) from error


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
