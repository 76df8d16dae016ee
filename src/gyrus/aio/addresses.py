"""Connections to an address: ``unix:/path`` or ``host:port``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

UNIX = "unix:"

P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How a client speaks TLS."""

    context: ssl.SSLContext
    """The trusted authorities, and the client's own certificate if servers require one."""
    server_name: str | None = None
    """The name that the server's certificate must have. None: the address's host; a Unix socket has none, so
    there it is required."""


async def connect(
    address: str, protocol: Callable[[], P], tls: ClientTls | None = None
) -> tuple[asyncio.Transport, P]:
    """Connect a new protocol to the address. Raises OSError."""
    loop = asyncio.get_running_loop()
    context = tls.context if tls else None
    name = tls.server_name if tls else None
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        return await loop.create_unix_connection(protocol, path, ssl=context, server_hostname=name)
    host, port = host_and_port(address)
    return await loop.create_connection(protocol, host, port, ssl=context, server_hostname=name)


def host_and_port(address: str) -> tuple[str, int]:
    """Split ``host:port``. An IPv6 host is in brackets: ``[::1]:80``."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
