"""A replica is ready only if its own processes listen on its port."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from gyrus.contract.replica import Phase, Reason, ReplicaStatus
from gyrus.runtime.supervisor.port_owner import OwnedPort
from support.replicas import Replicas, Running

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
]

SLOW = """
    import os, signal, socket, time
    while not os.path.exists("../../project/go"):
        time.sleep(0.02)
    listener = socket.create_server(("{host}", int(os.environ["PORT"])){more})
    while True:
        if os.path.exists("../../project/stop"):
            listener.close()
        time.sleep(0.02)
"""
IN_GRANDCHILD = """
    import os, socket, subprocess, sys, time
    if len(sys.argv) > 1:
        listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    elif os.fork() == 0:
        subprocess.Popen([sys.executable, __file__, "serve"], start_new_session=True)
        os._exit(0)
    time.sleep(600)
"""
ANOTHER_USER = 54321


def port_of(status: ReplicaStatus) -> int:
    endpoint = status.processes[0].endpoint
    return int(endpoint.rpartition(":")[2]) if endpoint else 0


def listener(port: int, host: str = "127.0.0.1") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


@contextmanager
def anothers(port: int, user: int | None) -> Generator[int]:
    """A process, of another user if one is given, that listens on the port. Yields its pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if user is not None:
                os.setuid(user)
            with listener(port):
                os.write(writer, b"x")
                time.sleep(600)
        finally:
            os._exit(1)
    assert os.read(reader, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


USERS = [
    None,
    pytest.param(ANOTHER_USER, marks=pytest.mark.skipif(os.getuid() != 0, reason="needs root")),
]


def launch(replicas: Replicas, host: str = "127.0.0.1", more: str = "") -> Running:
    return replicas.run(script=SLOW.format(host=host, more=more))


@pytest.mark.parametrize("user", USERS)
def test_a_port_that_is_taken_first_is_reported_and_another_one_chosen(
    replicas: Replicas, user: int | None
) -> None:
    replica = launch(replicas)
    taken = port_of(replica.until(port_of))
    with anothers(taken, user) as pid:
        failed = replica.until(lambda status: status.reason is Reason.NOT_LISTENING)
        assert failed.phase is not Phase.READY
        assert f"pid {pid}" in failed.message
        assert f"listens on 127.0.0.1:{taken}, not the replica" in failed.message
        assert not failed.endpoints
        (replica.folder / "project" / "go").touch()
        ready = replica.until_phase(Phase.READY)
        assert port_of(ready) != taken


def test_a_port_that_is_taken_later_is_noticed(replicas: Replicas) -> None:
    replica = launch(replicas)
    (replica.folder / "project" / "go").touch()
    port = port_of(replica.until_phase(Phase.READY))
    (replica.folder / "project" / "stop").touch()
    while True:
        try:
            taker = listener(port)
            break
        except OSError:
            time.sleep(0.001)
    with taker:
        status = replica.until_phase(Phase.UNREADY)
        assert f"listens on 127.0.0.1:{port}, not the replica" in status.message
        assert not status.endpoints


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_replicas_own_listener_is_accepted(replicas: Replicas, host: str) -> None:
    replica = launch(replicas, host)
    (replica.folder / "project" / "go").touch()
    replica.until_phase(Phase.READY)


def test_a_listener_of_all_addresses_of_both_families_is_accepted(replicas: Replicas) -> None:
    replica = launch(replicas, "::", ", family=socket.AF_INET6, dualstack_ipv6=True")
    (replica.folder / "project" / "go").touch()
    replica.until_phase(Phase.READY)


def test_a_listener_of_a_detached_descendant_is_accepted(replicas: Replicas) -> None:
    replicas.run(script=IN_GRANDCHILD).until_phase(Phase.READY)


def test_the_most_specific_listener_counts() -> None:
    """A listener of the address itself gets the connections, whatever listens on all addresses."""
    with listener(0) as specific:
        port = specific.getsockname()[1]
        assert OwnedPort(f"127.0.0.1:{port}", os.getpid()).fault() is None
        assert OwnedPort(f"0.0.0.0:{port}", os.getpid()).fault() is None
        with socket.socket(socket.AF_INET6) as general:
            general.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            general.bind(("::", port))
            general.listen()
            assert OwnedPort(f"127.0.0.1:{port}", os.getpid()).fault() is None
            assert OwnedPort(f"[::1]:{port}", os.getpid()).fault() is None


def test_a_port_without_a_listener_is_a_fault() -> None:
    with listener(0) as closed:
        port = closed.getsockname()[1]
    fault = OwnedPort(f"127.0.0.1:{port}", os.getpid()).fault()
    assert fault == f"nothing listens on 127.0.0.1:{port} any more"
