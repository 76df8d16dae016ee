"""The acceptance of connections, within bounds.

A listener never stops to accept: once it has as many connections as it may have, the oldest one without a
request in work ends for each new one. So connections that never send a request keep out no other client.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import pwd
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gyrus.aio.unix_sockets import peer_uid
from gyrus.server.connection import ApiConnection
from gyrus.server.listening import ApiListener

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT = 5.0
"""Seconds for the TLS handshake."""
FAREWELL_TIMEOUT = 1.0
"""Seconds for a client to confirm the end of a TLS connection."""
PAUSE = 1.0
"""Seconds until the next try, if the system has no file or memory for another connection."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ROOT = 0

NewConnection = Callable[[str], ApiConnection]
"""Takes the user at the other end of a Unix socket; empty for any other client."""


class Acceptor:
    """The connections of one listener."""

    def __init__(self, listener: ApiListener, new_connection: NewConnection) -> None:
        self._listener = listener
        self._new_connection = new_connection
        self._open: dict[asyncio.Task[None], ApiConnection] = {}
        """The connections by their tasks, the oldest first."""

    async def run(self) -> None:
        """Accept connections until cancelled. Connections that are established by then continue."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(0)  # accept() does not yield while connections are waiting
                accepted = await self._accept()
                if accepted is not None and self._admits(accepted):
                    self._establish(accepted, group)

    async def _accept(self) -> socket.socket | None:
        """Return the next connection. Returns None, after a pause, if the system cannot open it now."""
        try:
            accepted, _ = await asyncio.get_running_loop().sock_accept(self._listener.socket)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                log.error(
                    "no connection at %s can be accepted now: %s. Raise the limit of open files (ulimit -n)",
                    self._listener.name,
                    os.strerror(error.errno),
                )
                await asyncio.sleep(PAUSE)
            return None  # otherwise, the client has disconnected already
        return accepted

    def _admits(self, accepted: socket.socket) -> bool:
        """Return whether the client may connect. Closes the connection if it may not."""
        allowed = self._is_trusted(accepted) and self._has_space()
        if not allowed:
            accepted.close()
        return allowed

    def _is_trusted(self, accepted: socket.socket) -> bool:
        """Check the client's user on the Unix socket: this one, or root, which can read its memory anyway."""
        if not self._listener.local:
            return True
        uid = peer_uid(accepted)
        if uid in (os.geteuid(), _ROOT):
            return True
        log.warning("refused a connection of user %s at %s", uid, self._listener.name)
        return False

    def _user(self, accepted: socket.socket) -> str:
        """Return the user at the other end of the Unix socket. Empty for a TCP connection."""
        if not self._listener.local:
            return ""
        uid = peer_uid(accepted)
        return _user_name(os.geteuid() if uid is None else uid)

    def _has_space(self) -> bool:
        """End the oldest connection without a request in work, if there are as many as may be."""
        if len(self._open) < self._listener.most:
            return True
        oldest = next((task for task, connection in self._open.items() if not connection.busy), None)
        if oldest is None:
            log.warning(
                "refused a connection at %s: all %d are in use", self._listener.name, self._listener.most
            )
            return False
        log.warning("%s has %d connections: ended one that sent no request", *self._usage())
        self._open.pop(oldest).end()
        oldest.cancel()
        return True

    def _usage(self) -> tuple[str, int]:
        return self._listener.name, self._listener.most

    def _establish(self, accepted: socket.socket, group: asyncio.TaskGroup) -> None:
        connection = self._new_connection(self._user(accepted))
        task = group.create_task(self._serve(accepted, connection), name="operator API connection")
        self._open[task] = connection
        task.add_done_callback(lambda ended: self._open.pop(ended, None))

    async def _serve(self, accepted: socket.socket, connection: ApiConnection) -> None:
        """Establish the connection, which includes the TLS handshake, and wait for its end."""
        loop, tls = asyncio.get_running_loop(), self._listener.tls
        security: dict[str, Any] = (
            {
                "ssl": tls(),
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
                "ssl_shutdown_timeout": FAREWELL_TIMEOUT,
            }
            if tls
            else {}
        )
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted, **security)
        except OSError:  # also of TLS: the client is gone, too slow, or does not speak TLS
            accepted.close()
            return
        except asyncio.CancelledError:
            accepted.close()
            raise
        with suppress(asyncio.CancelledError):
            await connection.ended.wait()


def _user_name(uid: int) -> str:
    """Return a user's name; the number if there is none, as in most containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
