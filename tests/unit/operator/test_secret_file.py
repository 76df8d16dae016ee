"""Files that only their owner may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from pathlib import Path

import pytest

from gyrus.contract.home import Home
from gyrus.operator.secret_file import new_token, remove_token, requeue_secret_of, write_secret


@pytest.fixture
def no_umask() -> Generator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_each_start_has_a_token_of_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path)
    tokens = [new_token(home), new_token(home)]
    assert min(map(len, tokens)) >= 32
    assert tokens[0] != tokens[1]
    assert home.token.read_text().strip() == tokens[1]
    assert stat.S_IMODE(home.token.stat().st_mode) == 0o600
    remove_token(home)
    remove_token(home)
    assert not home.token.exists()


def test_a_file_that_others_could_read_is_replaced(tmp_path: Path) -> None:
    for name in ("key", "key.new"):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o666)
    write_secret(tmp_path / "key", b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


@pytest.mark.usefixtures("no_umask")
def test_the_secret_of_requeues_outlives_the_operator(tmp_path: Path) -> None:
    home = Home(tmp_path)
    secret = requeue_secret_of(home)
    assert len(secret) >= 32
    assert requeue_secret_of(home) == secret
    assert stat.S_IMODE(home.requeue_secret.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_secret_of_requeues_is_none(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path)
    home.requeue_secret.write_text(content)
    assert len(requeue_secret_of(home)) >= 32
    assert stat.S_IMODE(home.requeue_secret.stat().st_mode) == 0o600
