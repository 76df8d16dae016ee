"""The sockets on which the API listens: one in the home, and a TCP port if one is requested."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gyrus.aio import unix_sockets
from gyrus.aio.ports import port_owner
from gyrus.contract.home import Home

BACKLOG = 1024
"""Connections that the system keeps until the API accepts them."""


TlsSettings = Callable[[], ssl.SSLContext]
"""Returns the TLS settings of the next connection."""


class CannotListen(Exception):
    """The operator cannot listen on its address. The message is for the user.

    └── OperatorPortTaken    another process listens there
    """


class OperatorPortTaken(CannotListen):
    pass


@dataclass(frozen=True, slots=True)
class ApiListener:
    """A listening socket, and the bounds of its connections."""

    socket: socket.socket
    name: str
    """Its address, for messages."""
    tls: TlsSettings | None = None
    """The TLS settings. None without TLS, as on the Unix socket, where the system proves both ends."""
    most: int = 256
    """Open connections at a time. The listeners do not share them: each has its reserve."""
    file: tuple[int, int] | None = None
    """Device and inode of the Unix socket's file."""

    @property
    def local(self) -> bool:
        """True if the system names the user at the other end of each connection."""
        return self.socket.family == socket.AF_UNIX

    def close(self) -> None:
        """Close it, and remove its file."""
        if self.file and self.file == _identity(Path(self.name)):  # and not the socket of a later operator
            Path(self.name).unlink(missing_ok=True)
        self.socket.close()


def listen_in_home(path: Path) -> ApiListener:
    """Listen on the socket at this path, which only its owner may connect to. Raises CannotListen."""
    try:
        bound = unix_sockets.bind(path)
        bound.listen(BACKLOG)
    except OSError as error:
        raise CannotListen(
            f"The operator cannot listen on the socket {path}: {os.strerror(error.errno or errno.EIO)}. "
            "Set GYRUS_HOME to a folder whose file system has Unix sockets."
        ) from error
    bound.setblocking(False)
    return ApiListener(bound, str(path), file=_identity(path))


def listen_in_home_and(path: Path, port: Callable[[], ApiListener]) -> list[ApiListener]:
    """Listen on this socket, and on the port that the function opens. Raises CannotListen."""
    local = listen_in_home(path)
    try:
        return [local, port()]
    except BaseException:
        local.close()
        raise


def listen_on_port(host: str, port: int, tls: TlsSettings | None) -> ApiListener:
    """Listen on this address, with TLS if given. Port 0 is any free port. Raises CannotListen."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise OperatorPortTaken(
                f"The operator cannot listen on {host}:{port}: {_occupied(port)}, "
                "or choose another port with --operator-port."
            ) from error
        raise CannotListen(
            f"The operator cannot listen on {host}:{port}: {error.strerror}. "
            "Choose another port with --operator-port."
        ) from error
    bound.setblocking(False)
    return ApiListener(bound, f"{'https' if tls else 'http'}://{host}:{bound.getsockname()[1]}", tls)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _occupied(port: int) -> str:
    """Name the process that has the port, and how to stop it."""
    listener = port_owner(port)
    home = Home.of_command(listener.command) if listener else None
    if home:
        return (
            f"the platform in {home.root} has the port, with {listener}. "
            f"Stop it (GYRUS_HOME={home.root} gyrus down)"
        )
    return f"{listener or 'another program'} has the port. Stop it"
