"""The share of the gateway's connections in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.routing.pressure import PressureFile, share


@pytest.mark.parametrize(
    ("connections", "expected"), [(0, 0.0), (1, 0.02), (500, 0.5), (1000, 1.0), (2000, 1.0)]
)
def test_share_is_rounded_up(connections: int, expected: float) -> None:
    assert share(connections, 1000) == expected


def test_the_file_is_replaced_only_by_another_share(tmp_path: Path) -> None:
    path = tmp_path / "pressure"
    file = PressureFile(path)
    file.write(0.5)
    assert float(path.read_text()) == 0.5
    before = path.stat().st_ino
    file.write(0.5)
    assert path.stat().st_ino == before
    file.write(0.52)
    assert float(path.read_text()) == 0.52


def test_a_folder_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    PressureFile(tmp_path / "gone" / "pressure").write(0.5)
