"""The proxy as a whole: its clients, its status and its drain."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import Callable

from gyrus.contract.replica import Limits
from gyrus.runtime.private_calls import WITHOUT_PROOF, PrivateCalls
from gyrus.runtime.queue_proxy.downstream import Downstream, DownstreamProtocol
from gyrus.runtime.queue_proxy.limiter import ConcurrencyLimiter
from gyrus.runtime.queue_proxy.message import HeaderList
from gyrus.runtime.queue_proxy.upstream import ConnectionPool
from gyrus.runtime.server.server import BACKLOG
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal
from gyrus.runtime.telemetry.metrics import Metrics

ExtraHeaders = Callable[[float], HeaderList]
"""Returns further headers of the answer to a request that arrived at this time (monotonic seconds)."""


def no_headers(arrived: float) -> HeaderList:
    return []


class QueueProxy:
    """The queue proxy of one replica."""

    def __init__(
        self,
        limits: Limits,
        pool: ConnectionPool,
        backlog_signal: BacklogSignal,
        answer_headers: ExtraHeaders = no_headers,
        private_calls: PrivateCalls = WITHOUT_PROOF,
    ) -> None:
        """Notify ``backlog_signal`` when a request has to wait."""
        self.answer_headers = answer_headers
        self.private_calls = private_calls
        self.limits = limits
        self.pool = pool
        self.limiter = ConcurrencyLimiter(limits.max_concurrency, limits.max_queue_length, backlog_signal)
        self.metrics = Metrics()
        self.stopping = False
        """True if every answer ends its connection."""
        self._clients: dict[asyncio.Task[None], Downstream] = {}
        self._empty = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, bound: socket.socket, stop: asyncio.Event, announce: Callable[[str], None]) -> None:
        """Serve until ``stop``; then finish started requests and close idle connections."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._tasks:
            listen = loop.create_unix_server if bound.family == socket.AF_UNIX else loop.create_server
            server = await listen(lambda: DownstreamProtocol(self), sock=bound, backlog=BACKLOG)
            announce("ready")
            await stop.wait()
            announce("draining")
            await self._drain()
            server.close()
        self.pool.close()

    def connected(self, client: Downstream) -> asyncio.Task[None]:
        assert self._tasks is not None
        task = self._tasks.create_task(_guarded(client), name="queue proxy: client")
        self._clients[task] = client
        task.add_done_callback(self._disconnected)
        return task

    async def _drain(self) -> None:
        self.stopping = True
        self.limiter.drain()
        if not self._clients:
            return
        self._empty.clear()
        for client in self._clients.values():
            client.hurry()
        await self._empty.wait()

    def _disconnected(self, task: asyncio.Task[None]) -> None:
        del self._clients[task]
        if not self._clients:
            self._empty.set()


async def _guarded(client: Downstream) -> None:
    """Serve a client; an unexpected error ends its connection only, not the proxy."""
    try:
        await client.run()
    except Exception:
        traceback.print_exc()
