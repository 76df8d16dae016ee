"""The check that a missing database is no accident.

An operator without records would consider every replica orphaned and end it. So it starts without a database
only in a home that was never used, or if the user decides so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gyrus.contract.home import Home
from gyrus.operator.errors import StartError


def check_database(home: Home, *, new: bool) -> None:
    """Check that the home's database is there, unless none is expected.

    ``new``: True to begin with an empty one. Raises StartError.
    """
    present = _holds_data(home.database)
    if new and present:
        raise StartError(
            f"--new-database is refused, because the database {home.database} is there. "
            "Start without the option, or move the file away first."
        )
    if new:
        _move_leftovers(home.database)
    elif not present and (used := list(_evidence(home))):
        raise StartError(
            f"The database {home.database} is missing, but this home has been used: {', '.join(used)}. "
            "Without it, nothing counts as deployed. Nothing was ended. Restore the file from a backup, "
            "or begin with an empty database, which ends all replicas: gyrus up --new-database"
        )


def _holds_data(database: Path) -> bool:
    """Return whether the file has content. SQLite takes an empty file for a new database."""
    try:
        return database.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:  # SQLite reports what is wrong with it
        return True


def _evidence(home: Home) -> Iterator[str]:
    """Yield what only deployments leave in a home."""
    unpacked = (home.projects, home.earlier_projects)
    for folder in (home.packages, *unpacked, home.replicas, home.fork_servers, home.replica_logs):
        if number := _entries(folder):
            yield f"{folder.relative_to(home.root)} has {number} {'entry' if number == 1 else 'entries'}"


def _entries(folder: Path) -> int:
    try:
        return sum(not entry.name.startswith(".") for entry in folder.iterdir())
    except FileNotFoundError:
        return 0


def _move_leftovers(database: Path) -> None:
    """Move the journals of the lost database away, so that they are not applied to the new one."""
    for suffix in ("-wal", "-shm", "-journal"):
        journal = database.with_name(database.name + suffix)
        if journal.exists():
            journal.replace(journal.with_name(journal.name + ".old"))
