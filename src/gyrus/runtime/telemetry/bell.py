"""Tells the platform that a request has to wait here: another replica may have a free slot."""

from __future__ import annotations

import socket
from time import monotonic

PAUSE = 0.05
"""Seconds between two rings. Whoever hears one looks by itself until nobody waits any more."""


class Bell:
    """A datagram with the API's name. It may be lost, or nobody may listen: then the request waits here."""

    def __init__(self, path: str | None, api: str) -> None:
        self._path = path
        self._name = api.encode()
        self._silent_until = 0.0
        self._socket: socket.socket | None = None

    def ring(self) -> None:
        """Never waits, never fails."""
        now = monotonic()
        if self._path is None or now < self._silent_until:
            return
        self._silent_until = now + PAUSE
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(self._name, self._path)
        except OSError:
            pass
