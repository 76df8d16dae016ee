"""The signal to the platform that a request has to wait here, while another replica may have a free slot."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

PAUSE = 0.05
"""Seconds between two signals, at least. After one, the platform checks the queues until no request waits."""
AGAIN = 0.25
"""Seconds after which the signal is repeated while a request still waits, since it may have been lost."""


class BacklogSignal:
    """A datagram with the API's name. If it is lost, or the platform does not run, the request waits here."""

    def __init__(self, path: str | None, api: str) -> None:
        self._path = path
        self._name = api.encode()
        self._silent_until = 0.0
        self._socket: socket.socket | None = None
        self._again: asyncio.TimerHandle | None = None

    def notify(self, needed: Callable[[], bool]) -> None:
        """Send the signal, without waiting and without errors, and repeat it while ``needed()``."""
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
