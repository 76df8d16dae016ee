"""The check that a replica's port is served by the replica itself, and by no other process of the machine.

A user's server may take minutes until it listens. Meanwhile any local user can listen on the port, would be
probed as ready and would receive the clients' requests with their credentials. Linux only.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from contextlib import suppress

from gyrus.runtime.supervisor.connections import ListeningSocket, listening_on, socket_inodes
from gyrus.runtime.supervisor.kernel import LINUX
from gyrus.runtime.supervisor.processtable import descendants, family, read_table

ALL_ADDRESSES = ("0.0.0.0:", "[::]:")
LOCAL_ADDRESSES = ("127.", "[::1]:", "[::ffff:127.")
"""Beginnings of endpoints."""


class OwnedPort:
    """The owner of one endpoint, ``host:port``. It remembers which sockets are the replica's."""

    def __init__(self, endpoint: str, leader: int) -> None:
        """``leader``: the pid of the supervisor, from which all processes of the replica descend."""
        self._endpoint = endpoint
        self._leader = leader
        self._own: set[str] = set()

    def fault(self) -> str | None:
        """Return why connections to the endpoint do not reach the replica. Returns None if they do."""
        if not LINUX:
            return None
        try:
            found = listening_on(self._endpoint)
        except OSError:  # the table of sockets cannot be read here
            return None
        if not found:
            return f"nothing listens on {self._endpoint} any more"
        foreign = [listener for listener in found if listener.inode not in self._own]
        if foreign:
            foreign = self._foreign(foreign)
        return f"{_description(foreign[0])} listens on {self._endpoint}, not the replica" if foreign else None

    def hidden(self) -> str | None:
        """Return why clients elsewhere cannot reach the server. Returns None if they can or need not.

        They need to where the endpoint is all addresses, as in a pod.
        """
        if not LINUX or not self._endpoint.startswith(ALL_ADDRESSES):
            return None
        try:
            found = listening_on(self._endpoint)
        except OSError:
            return None
        local = next((one.address for one in found if one.address.startswith(LOCAL_ADDRESSES)), None)
        return (
            f"it listens on {local} alone, where the gateway cannot reach it; use 0.0.0.0" if local else None
        )

    def _foreign(self, listeners: list[ListeningSocket]) -> list[ListeningSocket]:
        """Return the listeners that no process of the replica has open."""
        foreign = self._not_open(listeners, family(self._leader))
        # The kernel's lists of children may lack some while others exit.
        return self._not_open(foreign, descendants(read_table(), self._leader)) if foreign else []

    def _not_open(self, listeners: list[ListeningSocket], pids: Iterable[int]) -> list[ListeningSocket]:
        inodes, hidden_users = _open_sockets(pids)
        self._own |= inodes & {listener.inode for listener in listeners}
        unknown = (listener for listener in listeners if listener.inode not in inodes)
        return [listener for listener in unknown if listener.user not in hidden_users]


def _open_sockets(pids: Iterable[int]) -> tuple[set[str], set[int]]:
    """Return the sockets of the processes, and the users of those whose files are hidden.

    The files of a program with privileges of its own cannot be listed. A socket of its user counts as its
    own.
    """
    inodes: set[str] = set()
    hidden: set[int] = set()
    for pid in pids:
        try:
            inodes.update(socket_inodes(pid))
        except PermissionError:
            with suppress(OSError):
                hidden.add(_user_of(pid))
        except OSError:  # it has just ended
            continue
    return inodes, hidden


def _user_of(pid: int) -> int:
    """Return the effective user of a process. Raises OSError."""
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("Uid:")).split()[2])


def _description(listener: ListeningSocket) -> str:
    """Name the process that listens, or at least its user."""
    try:
        user = pwd.getpwuid(listener.user).pw_name
    except KeyError:
        user = str(listener.user)
    for name in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            if listener.inode in socket_inodes(int(name)):
                with open(f"/proc/{name}/comm") as comm:
                    return f"another process ({comm.read().strip()}, pid {name}, user {user})"
    return f"another process (of user {user})"
