"""The operators known by name."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from gyrus.client.environments import EnvironmentEntry, Environments
from gyrus.client.errors import BadEnvironments, OperatorUnreachable, UnknownEnvironment
from gyrus.contract.home import Home

PRODUCTION = EnvironmentEntry(url="https://gyrus.example.com", token="secret")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("GYRUS_ENV", raising=False)
    return Home(tmp_path / "home")


def test_local_always_is_there(home: Home) -> None:
    known = Environments.load(home)
    assert known.names() == ("local",)
    assert known.choose() == "local"


def test_what_is_saved_is_loaded_again(home: Home) -> None:
    Environments().added("production", PRODUCTION).using("production").save(home)
    known = Environments.load(home)
    assert known.entries == {"production": PRODUCTION}
    assert known.choose() == "production"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_tokens_are_for_their_owner_alone(home: Home) -> None:
    Environments().added("production", PRODUCTION).save(home)
    assert stat.S_IMODE(home.environments_file.stat().st_mode) == 0o600


def test_the_argument_wins_over_the_variable_and_that_over_what_is_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = Environments().added("a", PRODUCTION).added("b", PRODUCTION).using("a")
    monkeypatch.setenv("GYRUS_ENV", "b")
    assert known.choose() == "b"
    assert known.choose("local") == "local"
    monkeypatch.delenv("GYRUS_ENV")
    assert known.choose() == "a"


def test_an_environment_that_is_removed_is_no_longer_in_use() -> None:
    known = Environments().added("a", PRODUCTION).using("a").removed("a")
    assert known.choose("local") == "local"
    assert known.current == "local"


def test_an_unknown_name_is_reported_with_those_that_are_known() -> None:
    with pytest.raises(UnknownEnvironment) as reported:
        Environments().added("production", PRODUCTION).choose("prod")
    assert str(reported.value) == (
        "There is no environment named 'prod'. Known are: local, production. Add one with: gyrus env add"
    )


def test_a_token_file_is_read_when_it_is_needed(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "token"
    known = Environments().added("production", EnvironmentEntry(url="http://x", token_file=str(file)))
    with pytest.raises(BadEnvironments, match=f"cannot be read from {file}"):
        known.resolve("production", home)
    file.write_text("secret\n")
    assert known.resolve("production", home).token == "secret"


def test_a_damaged_file_is_named(home: Home) -> None:
    home.root.mkdir()
    home.environments_file.write_text('{"entries": 1}')
    with pytest.raises(BadEnvironments, match=str(home.environments_file)):
        Environments.load(home)


def test_a_local_platform_that_is_down_is_reported_with_the_remedy(home: Home) -> None:
    with pytest.raises(OperatorUnreachable) as reported:
        Environments().resolve("local", home)
    assert str(reported.value) == "The local platform is not running. Start it with: gyrus up"


def test_a_token_is_not_shown_by_accident(home: Home) -> None:
    known = Environments().added("production", PRODUCTION)
    assert "secret" not in repr(known.resolve("production", home))
