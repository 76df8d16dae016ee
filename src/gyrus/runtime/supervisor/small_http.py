"""The parts that the supervisor's own HTTP ports share: a listener, its few clients, and one request of each.

Nothing here blocks: the supervisor's loop calls it when a descriptor is ready.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

LONGEST_REQUEST = 8192
"""Bytes."""
TIMEOUT = 5.0
"""Seconds of one client."""


class PortClient(Protocol):
    """A client of a port, which has one request."""

    deadline: float

    def close(self) -> None: ...


C = TypeVar("C", bound=PortClient)


class HttpPort(Generic[C]):
    """A listener and its clients. The oldest client ends for each new one beyond the limit."""

    def __init__(self, address: str, most: int, make: Callable[[socket.socket, float], C]) -> None:
        """Listen on ``address``. Raises OSError.

        ``most``: clients at a time. ``make``: creates a client from its socket and its deadline.
        """
        host, port = endpoint(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=64)
        self._listener.setblocking(False)
        self._most = most
        self._make = make
        self.clients: list[C] = []

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self, now: float) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # the client has gone, or there is no descriptor for it
            return
        accepted.setblocking(False)
        if len(self.clients) >= self._most:
            self.end(self.clients[0])
        self.clients.append(self._make(accepted, now + TIMEOUT))

    def advance(self, client: C, step: Callable[[], bool]) -> None:
        """Take a step of a client. It ends if the step returns True or fails."""
        try:
            done = step()
        except BlockingIOError:
            return
        except OSError:
            done = True
        if done:
            self.end(client)

    def expire(self, now: float) -> None:
        """End the clients that are past their time."""
        self._end_all([client for client in self.clients if now >= client.deadline])

    def end(self, client: C) -> None:
        if client in self.clients:
            self.clients.remove(client)
        client.close()

    def close(self) -> None:
        self._end_all(tuple(self.clients))
        self._listener.close()

    def _end_all(self, clients: Iterable[C]) -> None:
        for client in clients:
            self.end(client)


class RequestReader:
    """The reader of one request without a body."""

    def __init__(self) -> None:
        self._data = b""
        self.path: str | None = None
        """The target of a complete ``GET``. Empty for any other request; None while it is incomplete."""
        self._headers: dict[bytes, bytes] = {}

    def read(self, client: socket.socket) -> bool:
        """Read more. Returns False if the client has gone or sends too much. Raises OSError."""
        data = client.recv(LONGEST_REQUEST)
        self._data += data
        if not data or len(self._data) > LONGEST_REQUEST:
            return False
        if b"\r\n\r\n" in self._data:
            first, *lines = self._data.partition(b"\r\n\r\n")[0].split(b"\r\n")
            words = first.decode("latin-1").split(" ")
            self.path = words[1] if len(words) == 3 and words[0] == "GET" else ""
            named = (line.partition(b":") for line in lines)
            self._headers = {name.lower(): value.strip() for name, _, value in named}
        return True

    def header(self, name: bytes) -> bytes | None:
        """Return a header of the complete request by its name in lower case. Returns None without it."""
        return self._headers.get(name)


def endpoint(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, where the host may be in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def response(status: str, media_type: str, body: bytes) -> bytes:
    """Return a whole answer. ``status``: code and phrase."""
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
