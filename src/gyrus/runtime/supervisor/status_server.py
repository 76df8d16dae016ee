"""The supervisor's own HTTP port in a pod: the status for the operator, and the readiness for probes.

It answers ``GET /status`` with the :class:`ReplicaStatus` and ``GET /readyz`` with 200 while the replica is
ready. It runs in the supervisor's loop and never blocks: each connection carries one request.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from functools import partial

from gyrus.contract.replica import READY_PATH, STATUS_PATH, Phase, ReplicaStatus
from gyrus.runtime.codec import encode

LONGEST_REQUEST = 8192
"""Bytes."""
MOST_CONNECTIONS = 32
"""Open connections at a time. The oldest one ends for each new one."""
TIMEOUT = 5.0
"""Seconds of one connection."""
_REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class StatusServer:
    """A server of one status, which :meth:`show` replaces."""

    def __init__(self, address: str) -> None:
        """Listen on this address, ``host:port``. Raises OSError."""
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=64)
        self._listener.setblocking(False)
        self._connections: list[_Connection] = []
        self._status: ReplicaStatus | None = None

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def show(self, status: ReplicaStatus) -> None:
        """Answer with this status from now on."""
        self._status = status

    def sources(self) -> Iterator[tuple[int, int, Callable[[float], None]]]:
        """Yield each descriptor to wait for, its events, and the callback for them."""
        yield self._listener.fileno(), select.POLLIN, self._accept
        for connection in self._connections:
            yield connection.socket.fileno(), connection.events, partial(self._advance, connection)

    def wakes_at(self) -> Iterator[float]:
        """Yield the times (monotonic seconds) at which :meth:`expire` must be called."""
        return (connection.deadline for connection in self._connections)

    def expire(self, now: float) -> None:
        """End the connections that are past their time."""
        for connection in [one for one in self._connections if now >= one.deadline]:
            self._end(connection)

    def close(self) -> None:
        for connection in tuple(self._connections):
            self._end(connection)
        self._listener.close()

    def _accept(self, now: float) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # the client has gone, or there is no descriptor for it
            return
        accepted.setblocking(False)
        if len(self._connections) >= MOST_CONNECTIONS:
            self._end(self._connections[0])
        self._connections.append(_Connection(accepted, now + TIMEOUT))

    def _advance(self, connection: _Connection, _now: float) -> None:
        try:
            done = connection.advance(self._answer)
        except BlockingIOError:
            return
        except OSError:
            done = True
        if done:
            self._end(connection)

    def _end(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        connection.socket.close()

    def _answer(self, path: str) -> bytes:
        return answer(path, self._status)


class _Connection:
    """One request and its answer."""

    def __init__(self, accepted: socket.socket, deadline: float) -> None:
        self.socket = accepted
        self.deadline = deadline
        self._request = b""
        self._answer = b""

    @property
    def events(self) -> int:
        return select.POLLOUT if self._answer else select.POLLIN

    def advance(self, respond: Callable[[str], bytes]) -> bool:
        """Read the request or write the answer. Return True once it is done. Raises OSError."""
        if not self._answer:
            data = self.socket.recv(LONGEST_REQUEST)
            self._request += data
            if not data or len(self._request) > LONGEST_REQUEST:
                return True
            if b"\r\n\r\n" not in self._request:
                return False
            words = self._request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            self._answer = respond(words[1] if len(words) == 3 and words[0] == "GET" else "")
        self._answer = self._answer[self.socket.send(self._answer) :]
        return not self._answer


def answer(path: str, status: ReplicaStatus | None) -> bytes:
    """Return the whole answer to ``GET path``. ``status``: None before the first one. Pure."""
    if path == STATUS_PATH and status is not None:
        return _response(200, encode(status))
    if path == READY_PATH:
        ready = status is not None and status.phase is Phase.READY
        message = "" if status is None else status.message or status.phase
        return _response(200 if ready else 503, json.dumps({"message": message}).encode())
    return _response(404, b"{}")


def _response(code: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
