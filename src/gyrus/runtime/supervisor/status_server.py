"""The supervisor's own HTTP port in a pod: the status for the operator, and the readiness for probes.

It answers ``GET /status`` with the :class:`ReplicaStatus`, to the operator only, and ``GET /readyz`` with 200
while the replica is ready, to all. It runs in the supervisor's loop and never blocks: each connection carries
one request.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from functools import partial

from gyrus.contract.replica import READY_PATH, STATUS_PATH, Phase, ReplicaStatus
from gyrus.runtime.codec import encode
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.supervisor.small_http import HttpPort, RequestReader, response

MOST_CONNECTIONS = 32
"""Open connections at a time. The oldest one ends for each new one."""
_PHRASES = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class StatusServer:
    """A server of one status, which :meth:`show` replaces."""

    def __init__(self, address: str, private_calls: PrivateCalls | None = None) -> None:
        """Listen on this address, ``host:port``. Raises OSError.

        ``private_calls``: the rule by which calls of the operator are known. None: all calls are its calls.
        """
        self._http = HttpPort(address, MOST_CONNECTIONS, _Connection)
        self._private_calls = private_calls
        self._status: ReplicaStatus | None = None

    @property
    def port(self) -> int:
        return self._http.port

    def show(self, status: ReplicaStatus) -> None:
        """Answer with this status from now on."""
        self._status = status

    def sources(self) -> Iterator[tuple[int, int, Callable[[float], None]]]:
        """Yield each descriptor to wait for, its events, and the callback for them."""
        yield self._http.fileno(), select.POLLIN, self._http.accept
        for connection in self._http.clients:
            yield connection.socket.fileno(), connection.events, partial(self._advance, connection)

    def wakes_at(self) -> Iterator[float]:
        """Yield the times (monotonic seconds) at which :meth:`expire` must be called."""
        return (connection.deadline for connection in self._http.clients)

    def expire(self, now: float) -> None:
        """End the connections that are past their time."""
        self._http.expire(now)

    def close(self) -> None:
        self._http.close()

    def _advance(self, connection: _Connection, _now: float) -> None:
        self._http.advance(connection, lambda: connection.advance(self._answer))

    def _answer(self, request: RequestReader) -> bytes:
        private = self._private_calls is None or self._private_calls.accepts(request.header)
        return answer(request.path or "", self._status, private=private)


class _Connection:
    """One request and its answer."""

    def __init__(self, accepted: socket.socket, deadline: float) -> None:
        self.socket = accepted
        self.deadline = deadline
        self._request = RequestReader()
        self._answer = b""

    @property
    def events(self) -> int:
        return select.POLLOUT if self._answer else select.POLLIN

    def close(self) -> None:
        self.socket.close()

    def advance(self, respond: Callable[[RequestReader], bytes]) -> bool:
        """Read the request or write the answer. Return True once it is done. Raises OSError."""
        if not self._answer:
            if not self._request.read(self.socket):
                return True
            if self._request.path is None:
                return False
            self._answer = respond(self._request)
        self._answer = self._answer[self.socket.send(self._answer) :]
        return not self._answer


def answer(path: str, status: ReplicaStatus | None, *, private: bool) -> bytes:
    """Return the whole answer to ``GET path``. Pure.

    ``status``: None before the first one. ``private``: True if the operator asks. Others get no message,
    which may quote the user's code.
    """
    if path == STATUS_PATH and status is not None and private:
        return _response(200, encode(status))
    if path == READY_PATH:
        ready = status is not None and status.phase is Phase.READY
        message = "" if status is None or not private else status.message or status.phase
        return _response(200 if ready else 503, json.dumps({"message": message}).encode())
    return _response(404, b"{}")


def _response(code: int, body: bytes) -> bytes:
    return response(f"{code} {_PHRASES[code]}", "application/json", body)
