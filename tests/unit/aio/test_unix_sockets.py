"""Unix sockets at long paths, and the user at the other end."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from gyrus.aio import unix_sockets


@pytest.mark.parametrize("name", ["short", "n" * 200])
def test_paths_of_any_length(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir(mode=0o700)
    path = folder / "operator.sock"
    before = sorted(Path("/tmp").glob("gyrus-*"))
    umask = os.umask(0)
    try:
        for _ in range(2):  # a socket that was left behind is replaced
            bound = unix_sockets.bind(path)
            bound.listen()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with bound, unix_sockets.connect(path, 1.0) as connection:
                accepted, _ = bound.accept()
                with accepted:
                    accepted.sendall(b"x")
                    assert connection.recv(1) == b"x"
                    assert unix_sockets.peer_uid(accepted) == os.geteuid()
                    assert unix_sockets.peer_uid(connection) == os.geteuid()
    finally:
        os.umask(umask)
    assert sorted(Path("/tmp").glob("gyrus-*")) == before


def test_nothing_listens(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unix_sockets.connect(tmp_path / "none")
    unix_sockets.bind(tmp_path / "closed").close()
    with pytest.raises(ConnectionRefusedError):
        unix_sockets.connect(tmp_path / "closed")


def test_the_credentials_of_macos() -> None:
    content = struct.pack("=IIh2x16I", 0, 501, 1, *range(16))
    assert len(content) == 76
    assert unix_sockets.uid_of_xucred(content) == 501
    assert unix_sockets.uid_of_xucred(b"\1" + content[1:]) is None
