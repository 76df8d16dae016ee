"""What an operator owns before it starts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gyrus.contract.home import Home
from gyrus.operator.home_lock import token_of


def test_the_token_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    token = token_of(home)
    assert len(token) >= 32
    assert token_of(home) == token
    assert stat.S_IMODE(home.token.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_token_is_none(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path)
    home.token.write_text(content)
    assert len(token_of(home)) >= 32
    assert stat.S_IMODE(home.token.stat().st_mode) == 0o600
