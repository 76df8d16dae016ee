"""A folder is private if no other user can reach or replace what is in it."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from gyrus.aio.private_folder import not_private


@pytest.fixture(autouse=True)
def no_umask() -> Generator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o711, 0o740, 0o750, 0o755, 0o770, 0o777, 0o1777, 0o702])
def test_any_right_of_others_is_too_much(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(mode)
    reason = not_private(folder)
    assert reason is not None
    assert reason.endswith(f"Make it yours alone: chmod 700 {folder}")
    folder.chmod(0o700)
    assert not_private(folder) is None


def test_another_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert f"belongs to another user (id {uid})" in str(not_private(tmp_path))


def test_a_folder_that_can_be_replaced_from_above(tmp_path: Path) -> None:
    above = tmp_path / "above"
    folder = above / "between" / "home"
    folder.mkdir(parents=True, mode=0o700)
    (above / "between").chmod(0o700)
    above.chmod(0o777)
    assert f"chmod o-w {above}" in str(not_private(folder))
    above.chmod(0o1777)
    assert not_private(folder) is None
    above.chmod(0o775)
    assert not_private(folder) is None


def test_a_link_is_as_private_as_the_folder(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to("home")
    assert not_private(tmp_path / "link") is not None
    (tmp_path / "home").chmod(0o700)
    assert not_private(tmp_path / "link") is None
