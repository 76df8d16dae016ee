"""The supervisor's port for Prometheus in a pod: ``GET /metrics`` answers with the metrics of all processes.

It runs in the supervisor's loop and never blocks. A process that does not answer in time is left out.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from gyrus.contract.replica import METRICS_PATH
from gyrus.runtime.supervisor.exposition import combined
from gyrus.runtime.supervisor.small_http import HttpPort, RequestReader, endpoint, response
from gyrus.runtime.telemetry.metrics import MEDIA_TYPE

LONGEST_ANSWER = 1024 * 1024
"""Bytes of the metrics of one process."""
MOST_SCRAPES = 8
"""Scrapes at a time. The oldest one ends for each new one."""
PROCESS_TIMEOUT = 2.0
"""Seconds in which each process must answer."""
_QUESTION = f"GET {METRICS_PATH} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n\r\n".encode()


class MetricsServer:
    """A server of the metrics of these processes."""

    def __init__(self, address: str, processes: Sequence[str], labels: Mapping[str, str]) -> None:
        """Listen on ``address``. Raises OSError.

        ``processes``: the addresses of the replica's processes, each ``host:port``.
        """
        asked = [endpoint(process) for process in processes]
        self._http = HttpPort(
            address, MOST_SCRAPES, lambda client, deadline: _Scrape(client, asked, labels, deadline)
        )

    @property
    def port(self) -> int:
        return self._http.port

    def sources(self) -> Iterator[tuple[int, int, Callable[[float], None]]]:
        """Yield each descriptor to wait for, its events, and the callback for them."""
        yield self._http.fileno(), select.POLLIN, self._http.accept
        for scrape in self._http.clients:
            for fd, events, advance in scrape.sources():
                yield fd, events, partial(self._advance, scrape, advance)

    def wakes_at(self) -> Iterator[float]:
        """Yield the times (monotonic seconds) at which :meth:`expire` must be called."""
        for scrape in self._http.clients:
            yield from scrape.deadlines()

    def expire(self, now: float) -> None:
        """End what is past its time: scrapes, and the wait for processes that do not answer."""
        for scrape in self._http.clients:
            scrape.expire(now)
        self._http.expire(now)

    def close(self) -> None:
        self._http.close()

    def _advance(self, scrape: _Scrape, advance: Callable[[], bool], _now: float) -> None:
        self._http.advance(scrape, advance)


class _Scrape:
    """One request: it is read, the processes are asked, and the answer is written."""

    def __init__(
        self,
        client: socket.socket,
        processes: Sequence[tuple[str, int]],
        labels: Mapping[str, str],
        deadline: float,
    ) -> None:
        self.deadline = deadline
        self._client = client
        self._processes = processes
        self._labels = labels
        self._request = RequestReader()
        self._questions: list[_Question] = []
        self._texts: dict[int, str] = {}
        self._answer = b""

    def sources(self) -> Iterator[tuple[int, int, Callable[[], bool]]]:
        """Yield each descriptor, its events, and the callback, which returns True once all is done."""
        if self._answer:
            yield self._client.fileno(), select.POLLOUT, self._write
        elif not self._questions:
            yield self._client.fileno(), select.POLLIN, self._read
        for question in self._questions:
            yield question.socket.fileno(), question.events, partial(self._ask, question)

    def deadlines(self) -> Iterator[float]:
        yield self.deadline
        yield from (question.deadline for question in self._questions)

    def expire(self, now: float) -> None:
        for question in [each for each in self._questions if now >= each.deadline]:
            self._finish(question)

    def close(self) -> None:
        for question in self._questions:
            question.socket.close()
        self._client.close()

    def _read(self) -> bool:
        if not self._request.read(self._client):
            return True
        if self._request.path is not None:
            self._begin(self._request.path)
        return False

    def _begin(self, path: str) -> None:
        if path.partition("?")[0] != METRICS_PATH:
            self._answer = response("404 Not Found", MEDIA_TYPE, b"")
            return
        deadline = time.monotonic() + PROCESS_TIMEOUT
        self._questions = [
            _Question(index, process, deadline) for index, process in enumerate(self._processes)
        ]
        self._answer_if_complete()

    def _ask(self, question: _Question) -> bool:
        try:
            done = question.advance()
        except BlockingIOError:
            return False
        except OSError:  # the process does not run now
            done = True
        if done:
            self._finish(question)
        return False

    def _finish(self, question: _Question) -> None:
        if question not in self._questions:  # its time was up in the same turn of the loop
            return
        question.socket.close()
        self._questions.remove(question)
        if (text := question.text) is not None:
            self._texts[question.index] = text
        self._answer_if_complete()

    def _answer_if_complete(self) -> None:
        if not self._questions:
            texts = {index: self._texts[index] for index in sorted(self._texts)}
            self._answer = response("200 OK", MEDIA_TYPE, combined(texts, self._labels).encode())

    def _write(self) -> bool:
        self._answer = self._answer[self._client.send(self._answer) :]
        return not self._answer


class _Question:
    """The request to one process."""

    def __init__(self, index: int, address: tuple[str, int], deadline: float) -> None:
        self.index = index
        self.deadline = deadline
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self._unsent = _QUESTION
        self._answer = b""
        self._complete = False
        with suppress(OSError):  # in progress, or refused: the first write reports it
            self.socket.connect(address)

    @property
    def events(self) -> int:
        return select.POLLOUT if self._unsent else select.POLLIN

    @property
    def text(self) -> str | None:
        """The metrics. None if the process has not answered with any."""
        head, _, body = self._answer.partition(b"\r\n\r\n")
        return body.decode() if self._complete and b" 200 " in head.split(b"\r\n", 1)[0] + b" " else None

    def advance(self) -> bool:
        """Write the request or read the answer. Return True once it is complete. Raises OSError."""
        if self._unsent:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
            return False
        data = self.socket.recv(65536)
        self._answer += data
        self._complete = not data
        return self._complete or len(self._answer) > LONGEST_ANSWER
