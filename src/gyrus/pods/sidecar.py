"""The container beside those of the user: ``python -m gyrus.pods.sidecar``.

It puts the queue proxy before the server if the order asks for it, and ends the replica's requests in order.
SIGTERM comes when the pod's deletion is requested. The sidecar serves on until no gateway routes to the pod
(:mod:`gyrus.pods.pre_stop`), then finishes the requests that have started. The other containers wait for
that in their pre-stop hooks, which send ``GET /drained``, so that no server ends before its last answer. No
program in their images is needed for this.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from time import monotonic

from gyrus.aio.clock import SystemClock
from gyrus.aio.ticks import ticks
from gyrus.contract.cluster import ANY_HOST
from gyrus.contract.pods import DRAINED_PATH, PROXY_PORT, STATUS_PORT, SidecarOrder
from gyrus.contract.replica import READY_PATH
from gyrus.pods import pre_stop
from gyrus.pods.order import read_order
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.queue_proxy.message import HeaderList
from gyrus.runtime.queue_proxy.proxy import QueueProxy, no_headers
from gyrus.runtime.queue_proxy.upstream import ConnectionPool
from gyrus.runtime.server.server import bind
from gyrus.runtime.supervisor.connections import has_callers
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal

HOST = "127.0.0.1"
PATIENCE = 2.0
"""Seconds of one readiness check."""
DELETION_SEEN = 5.0
"""Seconds within which SIGTERM arrives if a hook runs because of the pod's deletion. Otherwise only this
container ends, because its liveness probe has failed, and need not wait."""
LOOK_AGAIN = 0.2
"""Seconds between two looks for open connections, without the proxy."""
FAREWELL = 0.5
"""Seconds for the answers to the hooks."""
LONGEST_HEAD = 8192
"""Bytes."""
ORIGIN = b"x-cortex-origin"


class Sidecar:
    """The sidecar of one replica."""

    def __init__(self, order: SidecarOrder) -> None:
        self._order = order
        self._deleted = asyncio.Event()
        self._drained = asyncio.Event()
        self._ready_at: float | None = None
        """Monotonic seconds of the first successful readiness check."""

    async def run(
        self, stop: asyncio.Event, *, status_port: int = STATUS_PORT, port: int = PROXY_PORT
    ) -> None:
        """Serve until ``stop``, and until the last request has ended after it."""
        order = self._order
        status = await asyncio.start_server(self._answer, ANY_HOST, status_port, limit=LONGEST_HEAD)
        serve = self._proxy(port) if order.proxy else self._watch()
        await self._until_drained(stop, serve)
        self._drained.set()
        await asyncio.sleep(FAREWELL)
        status.close()

    async def _until_drained(
        self, stop: asyncio.Event, serve: Callable[[asyncio.Event], Awaitable[None]]
    ) -> None:
        leave = asyncio.Event()

        async def count_down() -> None:
            await stop.wait()
            self._deleted.set()
            if order := self._order.pre_stop:
                await asyncio.to_thread(pre_stop.wait, **asdict(order))
            leave.set()
            limit.reschedule(asyncio.get_running_loop().time() + self._order.grace)

        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as tasks:
                tasks.create_task(count_down(), name="sidecar: end of the pod")
                await serve(leave)

    def _proxy(self, port: int) -> Callable[[asyncio.Event], Awaitable[None]]:
        order = self._order
        pool = ConnectionPool(HOST, order.upstream, order.limits.max_header)
        headers = self._origin if order.origin else no_headers
        private_calls = PrivateCalls(order.proof.encode())
        proxy = QueueProxy(order.limits, pool, BacklogSignal(None, order.api), headers, private_calls)

        async def serve(leave: asyncio.Event) -> None:
            await proxy.run(bind(f"{ANY_HOST}:{port}"), leave, lambda phase: None)

        return serve

    def _watch(self) -> Callable[[asyncio.Event], Awaitable[None]]:
        endpoint = f"{HOST}:{self._order.upstream}"

        async def serve(leave: asyncio.Event) -> None:
            await leave.wait()
            async for _ in ticks(SystemClock(), LOOK_AGAIN):
                if not has_callers(endpoint):  # the kernel's table of connections signals no change
                    return

        return serve

    def _origin(self, arrived: float) -> HeaderList:
        """Return Cortex's header: a request that arrived before the replica was ready was held for it."""
        held = self._ready_at is None or arrived < self._ready_at
        return [(ORIGIN, b"activator" if held else b"api")]

    # The status port

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            status = await self._status(head.split(b" ", 2)[1].decode("latin-1"))
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            await writer.drain()
        writer.close()

    async def _status(self, path: str) -> bytes:
        if path == READY_PATH:
            return b"200 OK" if await self._is_ready() else b"503 Service Unavailable"
        if path == DRAINED_PATH:
            await self._end_of_requests()
            return b"200 OK"
        return b"404 Not Found"

    async def _is_ready(self) -> bool:
        if self._order.probe and not await _accepts(self._order.upstream):
            return False
        if self._ready_at is None:
            self._ready_at = monotonic()
        return True

    async def _end_of_requests(self) -> None:
        """Wait until the replica has no requests, if its pod is being deleted."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._deleted.wait(), DELETION_SEEN)
            await self._drained.wait()


async def _accepts(port: int) -> bool:
    """Return True if a server of the pod accepts connections on the port."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(HOST, port)
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    return True


async def serve(order: SidecarOrder) -> None:
    """Run the sidecar until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Sidecar(order).run(stop)


def main() -> None:
    """Carry out the order of the environment variables. Raises PodFailed."""
    import uvloop

    order = read_order(SidecarOrder, os.environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(order))


if __name__ == "__main__":
    from gyrus.pods.failure import run

    sys.exit(run(main))
