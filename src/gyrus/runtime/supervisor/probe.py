"""A readiness probe of a process. It never blocks, so that one loop can run many probes."""

from __future__ import annotations

import errno
import json
import os
import re
import socket

TIMEOUT = 3.0
"""Seconds after which a probe fails."""
RETRY = 0.05
"""Seconds until a connection is retried after a full backlog."""
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts to probe for processes that listen on all addresses of the machine."""
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LONGEST_ANSWER = 4096
"""Bytes of an answer that are examined, at most."""


class Probe:
    """One connection, with a GET if there is a path, that is done by ``deadline`` at the latest.

    Once it is ``done``, ``fault`` is the reason why the process is not ready. None means that it is ready.
    """

    def __init__(self, endpoint: str, path: str | None, now: float) -> None:
        self._endpoint = endpoint
        self._path = path
        self._received = b""
        self._connected = False
        self.deadline = now + TIMEOUT
        self.retry_at: float | None = None
        """Monotonic seconds of the next try to connect, after a full backlog; None if none is due."""
        self.done = False
        self.fault: str | None = None
        self.socket = self._new_socket()
        self.connect(now)

    @property
    def waits_to_write(self) -> bool:
        return not self._connected

    def connect(self, now: float) -> None:
        self.retry_at = None
        error = self.socket.connect_ex(self._address)
        if error == 0:
            self._on_connected()
        elif error == errno.EAGAIN and self._is_unix:  # a Unix socket reports a full backlog at once
            self.retry_at = now + RETRY
        elif error != errno.EINPROGRESS:
            self._finish(self._not_connected(error))

    def advance(self, now: float) -> None:
        """Continue: the socket can be written or read."""
        try:
            if not self._connected:
                self._check_connection()
            else:
                self._receive()
        except BlockingIOError:
            pass
        except OSError as error:
            self._finish(f"{self._question} failed: {error.strerror}")

    def passed(self, now: float) -> None:
        """Fail at the deadline, or retry the connection when that is due."""
        if not self.done and now >= self.deadline:
            what = "was not answered" if self._connected else "was not accepted"
            self._finish(f"{self._question} {what} within {TIMEOUT:g} s")
        elif not self.done and self.retry_at is not None and now >= self.retry_at:
            self.connect(now)

    @property
    def wakes_at(self) -> float:
        return self.deadline if self.retry_at is None else min(self.retry_at, self.deadline)

    def close(self) -> None:
        self.done = True
        self.socket.close()

    @property
    def _is_unix(self) -> bool:
        return self._endpoint.startswith("unix:")

    @property
    def _address(self) -> str | tuple[str, int]:
        if self._is_unix:
            return self._endpoint.removeprefix("unix:")
        host, _, port = self._endpoint.rpartition(":")
        host = host.strip("[]")
        return WILDCARDS.get(host, host), int(port)

    @property
    def _family(self) -> socket.AddressFamily:
        if self._is_unix:
            return socket.AF_UNIX
        return socket.AF_INET6 if self._endpoint.startswith("[") else socket.AF_INET

    @property
    def _question(self) -> str:
        return f"GET {self._path}" if self._path else f"connecting to {self._endpoint}"

    def _new_socket(self) -> socket.socket:
        made = socket.socket(self._family, socket.SOCK_STREAM)
        made.setblocking(False)
        return made

    def _check_connection(self) -> None:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._finish(self._not_connected(error))
        else:
            self._on_connected()

    def _not_connected(self, error: int) -> str:
        if error in (errno.ECONNREFUSED, errno.ENOENT):
            return f"nothing listens on {self._endpoint}"
        return f"connecting to {self._endpoint} failed: {os.strerror(error)}"

    def _on_connected(self) -> None:
        self._connected = True
        if self._path is None:
            self._finish(None)
            return
        headers = "Host: localhost\r\nUser-Agent: gyrus-probe\r\nConnection: close"
        self.socket.send(f"GET {self._path} HTTP/1.1\r\n{headers}\r\n\r\n".encode())

    def _receive(self) -> None:
        data = self.socket.recv(_LONGEST_ANSWER)
        self._received += data
        if match := _STATUS.match(self._received):
            code = int(match[1])
            refusal = f"GET {self._path} was answered with {code}{_explanation(self._received)}"
            self._finish(None if 200 <= code < 300 else refusal)
        elif not data:
            self._finish(f"GET {self._path} was not answered: the connection was closed")
        elif len(self._received) >= _LONGEST_ANSWER:
            self._finish(f"GET {self._path} was not answered with HTTP")

    def _finish(self, fault: str | None) -> None:
        self.fault = fault
        self.close()


def _explanation(answer: bytes) -> str:
    """Return the message in the body of gyrus' own programs, if it has arrived with the status line."""
    try:
        match json.loads(answer.partition(b"\r\n\r\n")[2]):
            case {"message": str(message)}:
                return f": {message}"
            case _:
                return ""
    except ValueError:
        return ""
