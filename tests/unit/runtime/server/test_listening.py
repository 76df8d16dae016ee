from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.runtime.server.server import bind_unix

LONGEST_PATH = 103
"""Bytes; on macOS. Linux has four more."""


@pytest.fixture
def short(tmp_path: Path) -> Iterator[str]:
    folder = f"/tmp/gyrus-{os.getpid()}"
    os.symlink(tmp_path, folder)
    yield folder
    os.unlink(folder)


def test_a_socket_appears_when_it_listens(short: str) -> None:
    path = os.path.join(short, "a" * (LONGEST_PATH - len(short) - 6) + ".sock")
    with bind_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        assert os.listdir(short) == [os.path.basename(path)]


def test_it_replaces_what_another_left(short: str) -> None:
    path = os.path.join(short, "s")
    bind_unix(path).close()
    with bind_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        bind_unix(str(tmp_path / "no" / "s"))
