"""The TCP sockets of other processes: their listening addresses and connected clients. Linux only."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

LOOPBACK = frozenset(
    {
        "0100007F",
        "7F000001",
        "0000000000000000FFFF00000100007F",
        "00000000000000000000000001000000",
    }
)
"""127.0.0.1 in ``/proc/net/tcp`` on little- and big-endian machines, and in ``tcp6``; ::1."""
ESTABLISHED = "01"
LISTEN = "0A"
"""States of a socket in ``/proc/net/tcp``."""
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def listening_addresses(pids: Iterable[int]) -> tuple[str, ...]:
    """Return ``host:port`` of every TCP socket on which a process listens. Empty if that is unknown."""
    found: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            inodes = set(_socket_inodes(pid))
            found.update(address for address, inode in _listeners(pid) if inode in inodes)
    return tuple(sorted(found))


def _socket_inodes(pid: int) -> Iterator[str]:
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if match := _SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{fd}")):
                yield match[1]


def _listeners(pid: int) -> Iterator[tuple[str, str]]:
    """Yield the addresses and inodes of the listening sockets in the process's network namespace."""
    for family in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{family}") as table:
            for line in list(table)[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == LISTEN:
                    yield _address(local), inode


def _address(shown: str) -> str:
    """Convert an address of ``/proc/net``: ``0100007F:1F90`` is 127.0.0.1:8080.

    The host consists of words of four bytes, each in the machine's (little-endian) order.
    """
    host, _, port = shown.partition(":")
    words = bytes.fromhex(host)
    packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    if len(packed) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"


def has_callers(endpoint: str) -> bool:
    """Return True if a client is connected to the endpoint (``host:port`` of this machine).

    A client that has closed its side no longer counts.
    """
    port = int(endpoint.rpartition(":")[2])
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table) as connections:
            if among(list(connections)[1:], port):
                return True
    return False


def among(connections: Iterable[str], port: int) -> bool:
    """Return True if one of these lines is a connection to the port.

    A connection from this machine is seen from the client's side, one from elsewhere from the server's.
    """
    for connection in connections:
        _, local, remote, state, *_ = connection.split()
        host, _, number = remote.partition(":")
        end = number if host in LOOPBACK else local.partition(":")[2]
        if state == ESTABLISHED and int(end, 16) == port:
            return True
    return False
