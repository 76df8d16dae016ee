from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.replicas import WAIT, Replicas


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    """Leaves none behind."""
    started = Replicas(tmp_path)
    yield started
    started.close()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Where a socket's path is not too long."""
    with tempfile.TemporaryDirectory(prefix="g", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def notifications(short_folder: Path) -> Iterator[socket.socket]:
    """A datagram socket to be notified on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(short_folder / "backlog"))
        listener.settimeout(WAIT)
        yield listener
