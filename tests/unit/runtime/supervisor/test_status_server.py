from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator

import pytest

from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.runtime.codec import decode
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.supervisor.small_http import TIMEOUT
from gyrus.runtime.supervisor.status_server import MOST_CONNECTIONS, StatusServer, answer

STATUS = ReplicaStatus(
    id="a-1-00000", api="a", revision=1, phase=Phase.STARTING, message="loading handler.py"
)
READY = ReplicaStatus(id="a-1-00000", api="a", revision=1, phase=Phase.READY)


@pytest.fixture
def server() -> Iterator[StatusServer]:
    server = StatusServer("127.0.0.1:0")
    yield server
    server.close()


def connect(server: StatusServer) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(5)
    return client


def turn(server: StatusServer) -> None:
    """Do what the supervisor's loop does while it waits."""
    poll = select.poll()
    callbacks = {fd: (poll.register(fd, events), callback) for fd, events, callback in server.sources()}
    for fd, _ in poll.poll(200):
        callbacks[fd][1](time.monotonic())


def asked(server: StatusServer, request: bytes) -> bytes:
    with connect(server) as client:
        client.sendall(request)
        for _ in range(3):  # accept, read, write
            turn(server)
        return client.recv(100_000)


def test_the_status_is_served_as_it_is(server: StatusServer) -> None:
    server.show(STATUS)
    head, _, body = asked(server, b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert decode(ReplicaStatus, body) == STATUS


def test_a_replica_is_ready_in_its_ready_phase_alone() -> None:
    assert answer("/readyz", READY, private=False).startswith(b"HTTP/1.1 200 ")
    unready = answer("/readyz", STATUS, private=True)
    assert unready.startswith(b"HTTP/1.1 503 ")
    assert json.loads(unready.partition(b"\r\n\r\n")[2]) == {"message": "loading handler.py"}
    assert answer("/readyz", None, private=True).startswith(b"HTTP/1.1 503 ")
    assert answer("/status", None, private=True).startswith(b"HTTP/1.1 404 ")
    assert answer("/else", READY, private=True).startswith(b"HTTP/1.1 404 ")


def test_only_the_operator_reads_messages_and_the_status() -> None:
    assert answer("/status", STATUS, private=False).startswith(b"HTTP/1.1 404 ")
    assert answer("/readyz", STATUS, private=False).partition(b"\r\n\r\n")[2] == b'{"message": ""}'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"", b"404"),
        (b"x-gyrus-proof: a1b3\r\n", b"404"),
        (b"x-gyrus-internal: 1\r\n", b"404"),
        (b"X-Gyrus-Proof:  a1b2\r\n", b"200"),
    ],
)
def test_the_operator_is_known_by_its_proof(headers: bytes, status: bytes) -> None:
    server = StatusServer("127.0.0.1:0", PrivateCalls(b"a1b2"))
    server.show(STATUS)
    try:
        assert asked(server, b"GET /status HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n").split()[1] == status
    finally:
        server.close()


def test_other_requests_get_nothing_of_it(server: StatusServer) -> None:
    server.show(STATUS)
    assert asked(server, b"POST /status HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert asked(server, b"x" * 9000) == b""


def test_silent_connections_end(server: StatusServer) -> None:
    with connect(server) as client:
        turn(server)
        assert len(list(server.wakes_at())) == 1
        server.expire(time.monotonic() + TIMEOUT + 1)
        assert client.recv(10) == b""
        assert not list(server.wakes_at())


def test_a_new_connection_ends_the_oldest(server: StatusServer) -> None:
    server.show(STATUS)
    clients = [connect(server) for _ in range(MOST_CONNECTIONS)]
    for _ in clients:
        turn(server)
    assert asked(server, b"GET /status HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert clients[0].recv(10) == b""
    for client in clients:
        client.close()
