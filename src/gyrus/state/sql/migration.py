"""The upgrade of a database's schema to this version's."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gyrus.state.errors import StoreUnusable
from gyrus.state.sql.database import Database

MIGRATIONS = Path(__file__).with_name("migrations")


def newest() -> str:
    """Return the revision of the newest migration. The names of migration files begin with it."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def upgrade(database: Database) -> None:
    """Apply missing migrations, all or none. Of two operators that open at once, only one applies them."""
    async with database.reading() as connection:
        current = await connection.run_sync(_current)
    if current != newest():
        async with database.migrating() as connection:
            await connection.run_sync(_upgrade, database.name)


def _current(connection: Connection) -> str | None:
    """Return the revision of the last migration that was applied. Returns None if there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: Connection, name: str) -> None:
    # Imported here, so that an operator whose database is up to date starts a quarter of a second sooner.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnusable(
            f"{name} was written by another version of gyrus: {error}; use that version, or a newer one."
        ) from error
