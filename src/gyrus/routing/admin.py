"""Envoy's admin interface, over its Unix socket."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

TIMEOUT = 2.0
"""Seconds for a whole exchange."""
READ_LIMIT = 64 * 1024 * 1024


class AdminError(Exception):
    """Envoy's admin interface does not answer, or refuses."""


class Admin:
    """One request a connection: a few a second are made, and none is worth a pool."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def json(self, target: str) -> Any:
        """Raises AdminError."""
        body = await self.request("GET", target)
        try:
            return json.loads(body)
        except ValueError as error:
            raise AdminError(f"Envoy's admin interface answers {target} with what is not JSON") from error

    async def request(self, method: str, target: str) -> bytes:
        """The body of the answer. Raises AdminError."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._exchange(method, target)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise AdminError(f"Envoy's admin interface at {self._path} does not answer: {error!r}") from error

    async def _exchange(self, method: str, target: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._path), limit=READ_LIMIT)
        try:
            head = (
                f"{method} {target} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            writer.write(head.encode())
            status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
            rest = await reader.read()
        finally:
            writer.close()
        body = _dechunk(rest) if headers.get("transfer-encoding") == "chunked" else rest
        if status != 200:
            raise AdminError(f"Envoy's admin interface answers {target} with {status}: {body[:200]!r}")
        return body

    def peer(self) -> int | None:
        """The process id of who listens on the socket, where the system tells."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT)
            try:
                connection.connect(str(self._path))
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


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip().lower() for name, _, value in fields}


def _dechunk(raw: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        end = raw.index(b"\r\n", at)
        size = int(raw[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(raw[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
