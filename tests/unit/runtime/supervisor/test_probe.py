"""A probe never blocks and always ends with a result."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gyrus.runtime.supervisor.probe import TIMEOUT, Probe


@pytest.fixture
def server(short_folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(short_folder / "s"))
        listener.listen(1)
        yield listener


def endpoint(server: socket.socket) -> str:
    return f"unix:{server.getsockname()}"


def advance(probe: Probe, until: Callable[[], object]) -> None:
    while not until():
        poll = select.poll()
        poll.register(probe.socket, select.POLLOUT if probe.waits_to_write else select.POLLIN)
        assert poll.poll(10_000), "nothing happened"
        probe.advance(0)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n"], None),
        ([b"HTTP/1.0 204 No Content\r\n\r\n"], None),
        ([b"HT", b"TP/1.1 2", b"00 OK\r\n"], None),
        ([b"HTTP/1.1 503 Busy\r\n\r\n"], "GET /readyz was answered with 503"),
        (
            [b'HTTP/1.1 503 Busy\r\n\r\n{"ready": false, "message": "all slots are taken"}'],
            "GET /readyz was answered with 503: all slots are taken",
        ),
        ([b"HTTP/1.1 503 Busy\r\n\r\nsorry"], "GET /readyz was answered with 503"),
        ([b"HTTP/1.1 503 Busy\r\n\r\n[1]"], "GET /readyz was answered with 503"),
        ([b"HTTP/1.1 302 Found\r\n\r\n"], "GET /readyz was answered with 302"),
        ([], "GET /readyz was not answered: the connection was closed"),
        ([b"SSH-2.0-" + b"x" * 4096], "GET /readyz was not answered with HTTP"),
    ],
)
def test_answers_are_understood(server: socket.socket, answer: list[bytes], fault: str | None) -> None:
    probe = Probe(endpoint(server), "/readyz", 0)
    peer, _ = server.accept()
    with peer:
        assert peer.recv(1000).startswith(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
        for piece in answer:
            peer.sendall(piece)
            if piece is not answer[-1]:
                probe.advance(0)
                assert not probe.done
        peer.shutdown(socket.SHUT_WR)
        advance(probe, lambda: probe.done)
    assert probe.fault == fault


def test_without_a_path_a_connection_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = Probe(f"127.0.0.1:{server.getsockname()[1]}", None, 0)
        advance(probe, lambda: probe.done)
        assert probe.fault is None


@pytest.mark.parametrize(
    ("family", "host", "reported"),
    [
        (socket.AF_INET, "0.0.0.0", "0.0.0.0"),
        (socket.AF_INET6, "::1", "[::1]"),
        (socket.AF_INET6, "::", "[::]"),
    ],
)
def test_a_process_is_asked_on_any_address(family: socket.AddressFamily, host: str, reported: str) -> None:
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"nothing can listen on {host} here")
    with server:
        probe = Probe(f"{reported}:{server.getsockname()[1]}", None, 0)
        advance(probe, lambda: probe.done)
        assert probe.fault is None


@pytest.mark.parametrize("place", ["unix:/tmp/no/such.sock", "127.0.0.1:1"])
def test_no_listener(place: str) -> None:
    probe = Probe(place, "/readyz", 0)
    advance(probe, lambda: probe.done)
    assert probe.fault == f"nothing listens on {place}"


def test_silence_ends_at_the_deadline(server: socket.socket) -> None:
    probe = Probe(endpoint(server), "/readyz", 100)
    assert probe.wakes_at == 100 + TIMEOUT
    probe.passed(100 + TIMEOUT - 0.01)
    assert not probe.done
    probe.passed(100 + TIMEOUT)
    assert probe.fault == "GET /readyz was not answered within 3 s"
    assert probe.socket.fileno() == -1


def test_a_full_backlog_is_tried_again_until_the_deadline(server: socket.socket) -> None:
    crowd: list[Probe] = []
    while not crowd or crowd[-1].retry_at is None:
        crowd.append(Probe(endpoint(server), "/readyz", 0))
    waiting = crowd.pop()
    assert waiting.wakes_at < TIMEOUT
    waiting.passed(1)
    assert waiting.retry_at is not None
    assert waiting.retry_at > 1
    server.accept()[0].close()
    waiting.passed(2)
    assert waiting.retry_at is None
    last = Probe(endpoint(server), "/readyz", 0)
    last.passed(TIMEOUT)
    assert last.fault == "GET /readyz was not accepted within 3 s"
    for probe in (*crowd, waiting):
        probe.close()
