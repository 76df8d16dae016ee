"""Tells the platform that a request has to wait here: another replica may have a free slot."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

PAUSE = 0.05
"""Seconds between two rings, at least. Whoever hears one looks by itself until nobody waits any more."""
AGAIN = 0.25
"""Seconds after which it rings again while somebody still waits: perhaps nobody heard."""


class BacklogSignal:
    """A datagram with the API's name. It may be lost, or nobody may listen: then the request waits here."""

    def __init__(self, path: str | None, api: str) -> None:
        self._path = path
        self._name = api.encode()
        self._silent_until = 0.0
        self._socket: socket.socket | None = None
        self._again: asyncio.TimerHandle | None = None

    def notify(self, needed: Callable[[], bool]) -> None:
        """Never waits, never fails. ``needed``: somebody still has to wait."""
        now = monotonic()
        if self._path is None or now < self._silent_until:
            return
        self._silent_until = now + PAUSE
        self._send(self._path)
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(AGAIN, self._notify_again, needed)

    def _notify_again(self, needed: Callable[[], bool]) -> None:
        self._again = None
        if needed():
            self.notify(needed)

    def _send(self, path: str) -> None:
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(self._name, path)
        except OSError:
            pass
