"""Envoy's admin interface, over its Unix socket, or the part of it that a gateway's pod serves on a port."""

from __future__ import annotations

import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from gyrus.aio.addresses import UNIX
from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.connection import ResponseLimits
from gyrus.aio.http.errors import HttpError
from gyrus.aio.http.message import HttpRequest

TIMEOUT = 2.0
"""Seconds for a request and its answer."""
LIMITS = ResponseLimits(body=64 * 1024 * 1024)


class AdminError(Exception):
    """Envoy's admin interface does not answer, or refuses."""


class Admin:
    """Client of the admin interface.

    It connects for each request, because a kept connection may lead to the old Envoy of a hot restart.
    """

    def __init__(self, at: Path | str) -> None:
        """``at``: the socket's path, or host and port."""
        self._at = at
        self._address = f"{UNIX}{at}" if isinstance(at, Path) else at
        self._http = HttpClient(LIMITS, keep_alive=False)

    async def json(self, target: str) -> Any:
        """Return the answer's JSON document. Raises AdminError."""
        body = await self.request("GET", target)
        try:
            return json.loads(body)
        except ValueError as error:
            raise AdminError(f"Envoy's admin interface answers {target}, but not with JSON") from error

    async def request(self, method: str, target: str) -> bytes:
        """Return the body of the answer. Raises AdminError."""
        try:
            response = await self._http.send(self._address, HttpRequest(method, target), timeout=TIMEOUT)
        except HttpError as error:
            raise AdminError(f"Envoy's admin interface at {self._at} does not answer: {error}") from error
        if response.status != 200:
            answer = f"{response.status}: {response.body[:200]!r}"
            raise AdminError(f"Envoy's admin interface answers {target} with {answer}")
        return response.body

    def peer(self) -> int | None:
        """Return the id of the process that listens on the Unix socket, or None if it is unknown."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            try:
                connection.connect(str(self._at))
                return _peer_pid(connection)
            except OSError:
                return None


def _peer_pid(connection: socket.socket) -> int | None:
    if sys.platform == "linux":
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return struct.unpack("3i", credentials)[0]
    if sys.platform == "darwin":
        local, peer_pid = 0, 2  # SOL_LOCAL, LOCAL_PEERPID
        return struct.unpack("i", connection.getsockopt(local, peer_pid, 4))[0]
    return None
