"""Unix sockets whose paths may be long, and the user at a connection's other end."""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST = 100
"""Bytes of a path that every system takes: Linux allows 107, macOS 103."""


def connect(path: Path, timeout: float | None = None) -> socket.socket:
    """Return a connection to the socket at this path. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _short(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def bind(path: Path) -> socket.socket:
    """Return a socket at this path that only its owner may connect to. Replaces what is there.

    Raises OSError.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        # Linux gives the file the mode of its socket, so that the mode is right from the first moment.
        with suppress(OSError):  # macOS refuses
            os.fchmod(bound.fileno(), 0o600)
        with _short(path) as address:
            bound.bind(address)
        path.chmod(0o600)
    except BaseException:
        bound.close()
        raise
    return bound


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user whose process is at the other end: of a connection, the one that called listen().

    Returns None if the system does not reveal it.
    """
    if connection.family != socket.AF_UNIX:
        return None
    try:
        if sys.platform == "darwin":
            return uid_of_xucred(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
        return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    except (OSError, AttributeError, struct.error):
        return None


_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
_XUCRED = struct.Struct("=IIh2x16I")
"""macOS's ``struct xucred``: version, user, number of groups, groups."""


def uid_of_xucred(content: bytes) -> int | None:
    """Return the user of a ``struct xucred``. Returns None if it has another version than 0."""
    version, uid, *_ = _XUCRED.unpack(content)
    return uid if version == 0 else None


@contextmanager
def _short(path: Path) -> Generator[str]:
    """Yield a short path of the same socket: if need be, through a link in a new private folder.

    Changing the working directory instead would affect all threads.
    """
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="gyrus-", dir="/tmp") as folder:
        link = Path(folder, "l")
        link.symlink_to(path.parent)
        yield str(link / path.name)
