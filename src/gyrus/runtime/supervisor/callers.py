"""Whether anybody is still connected to a server that is not ours. Linux only: elsewhere nobody is seen."""

from __future__ import annotations

from collections.abc import Iterable

LOOPBACK = frozenset({"0100007F", "7F000001"})
"""127.0.0.1 as ``/proc/net/tcp`` writes it, on little- and big-endian machines."""
ESTABLISHED = "01"


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
