"""Clients that are connected to a port."""

from __future__ import annotations

import socket
import sys

import pytest

from gyrus.runtime.supervisor.connections import among, has_callers

LINE = "   1: 0100007F:C350 {remote} {state} 00000000:00000000 00:00000000 00000000 0 0 1 1 0 20 4 30 10 -1"


@pytest.mark.parametrize(
    ("remote", "state", "found"),
    [
        ("0100007F:4E20", "01", True),
        ("7F000001:4E20", "01", True),
        ("0100007F:4E21", "01", False),
        ("0101A8C0:4E20", "01", False),
        ("0100007F:4E20", "06", False),
    ],
)
def test_a_caller_is_connected_to_this_port_of_this_machine(remote: str, state: str, found: bool) -> None:
    assert among([LINE.format(remote=remote, state=state)], 20_000) is found


def test_a_caller_elsewhere_is_seen_from_the_servers_side() -> None:
    line = (
        "   1: 0201A8C0:4E20 0101A8C0:C350 {} 00000000:00000000 00:00000000 00000000 0 0 1 1 0 20 4 30 10 -1"
    )
    assert among([line.format("01")], 20_000)
    assert not among([line.format("08")], 20_000)  # it has closed
    assert not among([line.format("01")], 50_000)


@pytest.mark.skipif(sys.platform != "linux", reason="seen on Linux only")
def test_a_caller_over_ipv6_is_one_until_it_closes() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        endpoint = f"[::1]:{server.getsockname()[1]}"
        assert not has_callers(endpoint)
        with socket.create_connection(server.getsockname()[:2]):
            assert has_callers(endpoint)
        assert not has_callers(endpoint)


@pytest.mark.skipif(sys.platform != "linux", reason="seen on Linux only")
def test_a_caller_is_one_until_it_closes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        assert not has_callers(endpoint)
        with socket.create_connection(server.getsockname()):
            assert has_callers(endpoint)
        assert not has_callers(endpoint)
