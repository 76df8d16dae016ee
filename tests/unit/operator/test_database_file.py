"""A database that is missing in a used home is no accident that ends everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.contract.home import Home
from gyrus.operator.database_file import check_database
from gyrus.operator.errors import StartError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """As it is after the first `gyrus env add`, and a start that failed."""
    home = Home(tmp_path)
    for folder in (home.operator_log.parent, home.envoy, home.replicas, home.packages, home.projects):
        folder.mkdir(parents=True)
    for file in (home.operator_log, home.environments_file, home.settings_file, home.packages / ".x"):
        file.write_text("x")
    return home


def test_a_home_that_was_never_used_needs_none(home: Home) -> None:
    check_database(home, new=False)
    check_database(Home(home.root / "nowhere"), new=False)


def test_a_home_with_one(home: Home) -> None:
    (home.replicas / "iris-1").mkdir()
    home.database.write_text("SQLite")
    check_database(home, new=False)
    with pytest.raises(StartError, match="move the file away first"):
        check_database(home, new=True)


@pytest.mark.parametrize(
    "used", ["packages/x.tar", "projects/x", "replicas/x", "fork-servers/x", "logs/replicas/x"]
)
@pytest.mark.parametrize("empty", [True, False])
def test_a_used_home_without_one_asks(home: Home, used: str, empty: bool) -> None:
    (home.root / used).mkdir(parents=True)
    journal = home.root / "state.db-wal"
    journal.write_text("journal of the lost database")
    if empty:
        home.database.touch()
    with pytest.raises(StartError, match=r"1 entry.* gyrus up --new-database"):
        check_database(home, new=False)
    check_database(home, new=True)
    assert not journal.exists()
    assert journal.with_name("state.db-wal.old").exists()
