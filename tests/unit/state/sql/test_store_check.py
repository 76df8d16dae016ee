"""The look of a standby at the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.state.errors import StoreUnusable
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store_check import SqlStoreCheck


async def test_a_database_answers_or_the_fault_names_it(tmp_path: Path) -> None:
    check = SqlStoreCheck(sqlite_url(tmp_path / "state.db"))
    await check.check()
    await check.close()
    lost = SqlStoreCheck("postgresql://me:secret@127.0.0.1:1/gyrus?connect_timeout=1")
    with pytest.raises(StoreUnusable) as fault:
        await lost.check()
    await lost.close()
    assert str(fault.value).startswith("The database postgresql+psycopg://me:***@127.0.0.1:1/gyrus")
    assert "secret" not in str(fault.value)


def test_a_url_of_no_database_is_refused() -> None:
    with pytest.raises(StoreUnusable):
        SqlStoreCheck("models.example.com")
