"""The supervisor's port for Prometheus, in its loop."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from gyrus.runtime.supervisor.metrics_server import MOST_SCRAPES, PROCESS_TIMEOUT, MetricsServer
from gyrus.runtime.supervisor.small_http import TIMEOUT

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nqueued 2\n"
SCRAPE = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"


@contextmanager
def process(answer: bytes | None) -> Generator[str]:
    """A process that answers each connection so. None: it accepts and is silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            kept.append(client)
            if answer is not None:
                client.recv(1000)
                client.sendall(answer)
                client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for client in kept:
        client.close()


@contextmanager
def serving(*processes: str) -> Generator[MetricsServer]:
    server = MetricsServer("127.0.0.1:0", processes, {"api": "iris"})
    yield server
    server.close()


def turn(server: MetricsServer, now: float | None = None) -> None:
    """Do what the supervisor's loop does in one turn."""
    poll = select.poll()
    callbacks = {fd: (poll.register(fd, events), callback) for fd, events, callback in server.sources()}
    for fd, _ in poll.poll(50):
        callbacks[fd][1](time.monotonic())
    server.expire(time.monotonic() if now is None else now)


def scraped(server: MetricsServer, request: bytes = SCRAPE, now: float | None = None) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(request)
        client.setblocking(False)
        received = b""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            turn(server, now)
            try:
                data = client.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionResetError:  # it had not read all of the request
                break
            received += data
            if not data:
                break
        return received


def test_a_scrape_has_the_metrics_of_all_processes() -> None:
    with process(ANSWER) as first, process(ANSWER) as second, serving(first, second) as server:
        head, _, body = scraped(server).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4")
    assert body == b'queued{api="iris",process="0"} 2\nqueued{api="iris",process="1"} 2\n'


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 No\r\n\r\nqueued 1\n", b"", b"nonsense"])
def test_a_process_that_has_no_metrics_is_left_out(answer: bytes) -> None:
    with process(answer) as broken, process(ANSWER) as fine, serving(broken, fine) as server:
        assert scraped(server).endswith(b'\r\n\r\nqueued{api="iris",process="1"} 2\n')


def test_a_process_that_does_not_run_is_left_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
    with process(ANSWER) as fine, serving(nowhere, fine) as server:
        assert scraped(server).endswith(b'\r\n\r\nqueued{api="iris",process="1"} 2\n')


def test_a_silent_process_is_left_out_when_its_time_is_up() -> None:
    later = time.monotonic() + PROCESS_TIMEOUT + 1
    with process(None) as silent, serving(silent) as server:
        assert scraped(server, now=later).endswith(b"content-length: 0\r\nconnection: close\r\n\r\n")


def test_other_paths_are_not_found() -> None:
    with serving() as server:
        assert scraped(server, b"GET /status HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert scraped(server, b"POST /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_a_request_that_is_too_long_or_too_slow_ends() -> None:
    with serving() as server:
        assert scraped(server, b"x" * 9000) == b""
        assert scraped(server, b"GET", now=time.monotonic() + TIMEOUT + 1) == b""


def test_scrapes_are_bounded() -> None:
    with serving() as server:
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(MOST_SCRAPES + 3)]
        for _ in clients:
            turn(server)
        assert len(list(server.sources())) == 1 + MOST_SCRAPES
        for client in clients:
            client.close()
