"""The process that has a port."""

from __future__ import annotations

import os
import socket

import psutil

from gyrus.aio.ports import port_owner


def test_the_listener_is_found_with_its_command_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = port_owner(port)
    assert found is not None
    assert str(found) == f"{psutil.Process().name()} (process {os.getpid()})"
    assert found.command == tuple(psutil.Process().cmdline())
    assert port_owner(port) is None
