"""The copy of a replica's log for the operator's archive, sent in batches by a thread of its own.

The supervisor only puts lines into a bounded buffer: neither an operator that is away nor a slow network
delays a replica. Lines that the buffer has no space for are counted, and the archive gets their number.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from gyrus.aio.backoff import Backoff
from gyrus.contract.replica import BATCH_HEADER, LOGS_PATH, LogArchiveAccess

BUFFER = 1024 * 1024
"""Bytes of lines that wait to be sent, beside one batch."""
BATCH = 256 * 1024
"""Bytes of a batch, except that it has one line at least."""
EVERY = 1.0
"""Seconds between two batches."""
FAREWELL = 1.0
"""Seconds for the last batches, when the replica ends."""
TIMEOUT = 5.0
"""Seconds for each step of a request."""
RETRY = Backoff(first=0.5, most=15.0)
REFUSED = frozenset({400, 413})
"""Answers after which another try would not help."""
NAME = "log archive"


class SendFailed(Exception):
    """A batch that the archive has not stored. The message is the cause."""


class ArchiveConnection(Protocol):
    """The way to the archive. Its methods block."""

    def send(self, number: int, body: bytes) -> int:
        """Send a batch, and return the status of the answer. Raises SendFailed."""
        ...


class LogSender:
    """The lines that wait, and the thread that sends them."""

    def __init__(
        self,
        replica: str,
        connect: Callable[[], ArchiveConnection],
        *,
        buffer: int = BUFFER,
        batch: int = BATCH,
        every: float = EVERY,
    ) -> None:
        """``connect``: called in the thread, before the first batch."""
        self._replica = replica
        self._connect = connect
        self._buffer = buffer
        self._batch = batch
        self._every = every
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._dropped = 0
        """Lines dropped since the last batch."""
        self._cause = ""
        """The last failure, since the last batch that was stored."""
        self._ends_at: float | None = None
        """Monotonic time by which the last batch must be sent. None: the replica goes on."""
        self._idle = False
        """True while the thread waits for lines."""
        self._number = 0
        self._thread: threading.Thread | None = None

    def offer(self, lines: Sequence[bytes]) -> None:
        """Take lines, each a JSON document with a newline at its end. Never waits."""
        with self._changed:
            self._lines.extend(lines)
            self._bytes += sum(map(len, lines))
            while self._bytes > self._buffer:
                self._bytes -= len(self._lines.popleft())
                self._dropped += 1
            if self._idle:
                self._changed.notify()
            if self._thread is None and self._ends_at is None:
                self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what waits, for at most FAREWELL seconds. No lines may be offered any more."""
        with self._changed:
            self._ends_at = time.monotonic() + FAREWELL
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(FAREWELL)

    def _run(self) -> None:
        # A signal must wake the supervisor's loop, which runs in the main thread.
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        connection = self._connect()
        while body := self._next():
            self._number = max(self._number + 1, time.time_ns())
            self._deliver(connection, body)
            self._pause(self._every)

    def _next(self) -> bytes:
        """Wait for lines, and return the next batch. Empty once the replica has ended and all is sent."""
        with self._changed:
            self._idle = True
            self._changed.wait_for(lambda: self._lines or self._ends_at is not None)
            self._idle = False
            if not self._lines:
                return b""
            taken = [self._notice(self._lines[0])] if self._dropped else []
            size, self._dropped = 0, 0
            while self._lines and (size == 0 or size + len(self._lines[0]) <= self._batch):
                line = self._lines.popleft()
                size += len(line)
                taken.append(line)
            self._bytes -= size
            return b"".join(taken)

    def _deliver(self, connection: ArchiveConnection, body: bytes) -> None:
        """Send a batch until it is stored or refused, or until the replica has ended."""
        failures = 0
        while not self._over:
            try:
                status = connection.send(self._number, body)
                if status < 300:
                    self._cause = ""
                    return
                self._cause = f"the operator answered with status {status}"
                if status in REFUSED:
                    break
            except SendFailed as failure:
                self._cause = f"the operator could not be reached: {failure}"
            self._pause(RETRY.delay(failures) * _jitter())
            failures += 1
        with self._changed:
            self._dropped += body.count(b"\n")

    def _pause(self, seconds: float) -> None:
        """Wait, but not for long once the replica has ended."""
        with self._changed:
            if self._ends_at is None:
                self._changed.wait_for(lambda: self._ends_at is not None, seconds)
            else:
                self._changed.wait(min(seconds, 0.1))

    @property
    def _over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _notice(self, next_line: bytes) -> bytes:
        """Return the line about the dropped lines, with the time of the line that follows them."""
        cause = self._cause or "they came faster than they could be sent"
        notice = {
            "time": json.loads(next_line)["time"],
            "replica": self._replica,
            "message": f"{self._dropped} lines before this one were not archived: {cause}",
            "stream": "gyrus",
            "level": "warning",
        }
        return json.dumps(notice, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _jitter() -> float:
    """Return a number from 0.5 to 1, so that not all replicas try again at the same moment."""
    return 0.5 + time.time_ns() // 1000 % 1000 / 2000


class HttpsConnection:
    """A connection to the operator's files server, which is opened again when it is lost."""

    def __init__(self, access: LogArchiveAccess, pod: str) -> None:
        # Imported here, in the sender's thread: they would delay the start of the supervisor.
        import http.client
        import ssl
        from urllib.parse import urlsplit

        self._access = access
        self._headers = {
            "authorization": f"Bearer {pod}.{access.secret}",
            "content-type": "application/x-ndjson",
        }
        url = urlsplit(access.url)
        self._errors = (OSError, http.client.HTTPException)
        self._open: http.client.HTTPConnection | None = None

        def connect() -> http.client.HTTPConnection:
            # With the certificate as it is now: the operator's authority may have been renewed.
            context = ssl.create_default_context(cafile=access.ca)
            return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=TIMEOUT, context=context)

        self._connect = connect

    def send(self, number: int, body: bytes) -> int:
        if self._open is not None:
            try:
                return self._post(number, body)
            except SendFailed:
                pass  # the server closes idle connections
        return self._post(number, body)

    def _post(self, number: int, body: bytes) -> int:
        try:
            self._open = self._open or self._connect()
            self._open.request("POST", LOGS_PATH, body, {**self._headers, BATCH_HEADER: str(number)})
            answer = self._open.getresponse()
            answer.read()
        except self._errors as error:
            if self._open is not None:
                self._open.close()
                self._open = None
            raise SendFailed(str(error) or type(error).__name__) from error
        return answer.status
