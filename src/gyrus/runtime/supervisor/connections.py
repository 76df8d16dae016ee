"""The TCP sockets of other processes: where they listen, and whether clients are connected. Linux only."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

LOOPBACK = frozenset({"0100007F", "7F000001"})
"""127.0.0.1 as ``/proc/net/tcp`` writes it, on little- and big-endian machines."""
ESTABLISHED = "01"
LISTEN = "0A"
"""The state of a listening socket, as ``/proc/net/tcp`` writes it."""
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def listening_addresses(pids: Iterable[int]) -> tuple[str, ...]:
    """``host:port`` of every TCP socket that one of them listens on. Empty where that cannot be known."""
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
    """Addresses and inodes of the listening sockets in the process's network."""
    for family in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{family}") as table:
            for line in list(table)[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == LISTEN:
                    yield _address(local), inode


def _address(shown: str) -> str:
    """``0100007F:1F90`` is 127.0.0.1:8080: words of four bytes, each in the machine's (little) order."""
    host, _, port = shown.partition(":")
    words = bytes.fromhex(host)
    packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    if len(packed) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"


def has_callers(endpoint: str) -> bool:
    """``endpoint``: ``127.0.0.1:port``. Seen from the callers' side: who has closed is no caller any more."""
    try:
        with open("/proc/net/tcp") as table:
            return among(list(table)[1:], int(endpoint.rpartition(":")[2]))
    except OSError:
        return False


def among(connections: Iterable[str], port: int) -> bool:
    """Whether one of these lines is a connection to the port."""
    for connection in connections:
        _, _, remote, state, *_ = connection.split()
        host, _, number = remote.partition(":")
        if state == ESTABLISHED and host in LOOPBACK and int(number, 16) == port:
            return True
    return False
