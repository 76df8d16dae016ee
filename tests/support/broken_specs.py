"""Specifications in a database that no gyrus can read."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path


def break_spec(database: Path, api: str) -> None:
    """Give every revision of an API a field that is not known."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT number, spec FROM revisions WHERE api = ?", (api,)).fetchall()
        for number, text in rows:
            broken = json.dumps(json.loads(text) | {"warp": 9})
            connection.execute(
                "UPDATE revisions SET spec = ? WHERE api = ? AND number = ?", (broken, api, number)
            )
    connection.close()
