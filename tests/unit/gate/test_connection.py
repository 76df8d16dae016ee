"""A connection by itself, where its end meets another's beginning."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from gyrus.contract.replica import LONGEST_KEPT_BODY
from gyrus.gate.connection import GatewayConnection
from gyrus.gate.disconnects import DisconnectWatcher
from gyrus.gate.hold_limits import HeldBytes
from support.upstreams import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watched by epoll")

LONG = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (LONGEST_KEPT_BODY + 1) + b"x" * 100_000


class Owner:
    def __init__(self) -> None:
        self.disconnects = DisconnectWatcher(asyncio.get_running_loop())
        self.requeue_secret = ""
        self.bodies = HeldBytes(2**28)
        self.gone: list[GatewayConnection] = []

    def opened(self, connection: GatewayConnection) -> None: ...

    def arrived(self, connection: GatewayConnection) -> None: ...

    def left(self, connection: GatewayConnection) -> None:
        self.gone.append(connection)

    def closed(self, connection: GatewayConnection) -> None: ...


class Transport:
    """Report its end in the loop's next turn, as a real one does."""

    def __init__(self, own: socket.socket, protocol: GatewayConnection) -> None:
        self._own = own
        self._protocol = protocol
        self.aborted: Callable[[], object] = lambda: None

    def get_extra_info(self, name: str) -> Any:
        return self._own

    def pause_reading(self) -> None: ...

    def abort(self) -> None:
        self.aborted()
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


def connected(owner: Owner) -> tuple[GatewayConnection, Transport, socket.socket]:
    ours, theirs = socket.socketpair()
    connection = GatewayConnection(owner)
    transport = Transport(ours, connection)
    connection.connection_made(cast("asyncio.Transport", transport))
    return connection, transport, theirs


async def test_a_watch_that_has_ended_is_not_ended_again_as_anothers() -> None:
    owner = Owner()
    first, ending, first_client = connected(owner)
    second, _, second_client = connected(owner)
    first.data_received(LONG)
    loop = asyncio.get_running_loop()
    ending.aborted = lambda: loop.call_soon(second.data_received, LONG)
    first_client.close()
    placeholder = os.dup(second_client.fileno())  # the next number to be had is the first's watch
    await until(lambda: owner.gone == [first])
    await asyncio.sleep(0)
    os.close(placeholder)
    second_client.close()
    await until(lambda: owner.gone == [first, second])
    owner.disconnects.close()
