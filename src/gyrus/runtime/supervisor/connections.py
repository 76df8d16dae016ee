"""The TCP sockets of other processes: their listening addresses and connected clients. Linux only."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    address: str
    """``host:port``."""
    inode: str
    user: int
    """The id of the user that created it."""


def listening_on(endpoint: str) -> list[ListeningSocket]:
    """Return the sockets that receive connections to an endpoint of this machine. Raises OSError.

    A socket of the address itself comes before one of all addresses.
    """
    host, _, port = endpoint.rpartition(":")
    found = [listener for listener in _listening("self") if listener.address.rpartition(":")[2] == port]
    for hosts in _preferred(host):
        if chosen := [listener for listener in found if listener.address.rpartition(":")[0] in hosts]:
            return chosen
    return []


def _preferred(host: str) -> tuple[frozenset[str], ...]:
    """Return the hosts of listeners that may receive connections to a host, the most specific first."""
    if host in ("0.0.0.0", "127.0.0.1", "localhost"):
        host = "127.0.0.1"
    elif host in ("[::]", "[::1]"):
        return frozenset({"[::1]"}), frozenset({"[::]"})
    return frozenset({host, f"[::ffff:{host}]"}), frozenset({"0.0.0.0"}), frozenset({"[::]"})


def listening_addresses(pids: Iterable[int]) -> tuple[str, ...]:
    """Return ``host:port`` of every TCP socket on which a process listens. Empty if that is unknown."""
    found: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            inodes = set(socket_inodes(pid))
            found.update(one.address for one in _listening(str(pid)) if one.inode in inodes)
    return tuple(sorted(found))


def socket_inodes(pid: int) -> Iterator[str]:
    """Yield the sockets that a process has open. Raises OSError."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if match := _SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{fd}")):
                yield match[1]


def _listening(process: str) -> Iterator[ListeningSocket]:
    """Yield the listening sockets in the network namespace of a process (a pid, or ``self``)."""
    for family in ("tcp", "tcp6"):
        with _table(process, family) as table:
            for line in table:
                if f" {LISTEN} " in line:
                    _, local, _, _, _, _, _, user, _, inode = line.split()[:10]
                    yield ListeningSocket(_address(local), inode, int(user))


@contextmanager
def _table(process: str, family: str) -> Generator[Iterable[str]]:
    """Open a table of sockets; it is empty if the kernel has no such family. Raises OSError."""
    path = f"/proc/{process}/net/{family}"
    if family == "tcp6" and not os.path.exists(path):
        yield ()
        return
    with open(path) as table:
        yield table


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
