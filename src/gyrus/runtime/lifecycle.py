"""A worker's life from its first request to its last: serve, drain, end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

from gyrus.contract.replica import Phase, ReplicaConfig
from gyrus.runtime.calls.assembly import assemble
from gyrus.runtime.calls.desk import Desk
from gyrus.runtime.handler.handler import Handler
from gyrus.runtime.readiness import Readiness
from gyrus.runtime.server.server import Server
from gyrus.runtime.service import Service
from gyrus.runtime.telemetry.control import Control
from gyrus.runtime.telemetry.metrics import Metrics

SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUIET = 5.0
"""Seconds. A connection on which nothing happens for so long during a drain is not the gateway's, which
closes its own: end it."""
LOOK = 0.05
"""Seconds between looks at whether everybody has left."""


async def serve(config: ReplicaConfig, handler: Handler, bound: socket.socket, control: Control) -> None:
    """Until a signal comes and everything that was started is answered, or the grace is over."""
    stop = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    counted = Metrics()
    desk, threads = assemble(handler, config, counted)
    service = Service(
        desk,
        Readiness(desk, threads),
        counted,
        describe=lambda: b"{}",
        answers_get=handler.answers_get,
    )
    server = Server(config.limits, service, counted.tally)
    async with asyncio.TaskGroup() as group:
        keeping_time = group.create_task(server.keep_time(), name="connections' time")
        listening = await server.listen(bound)
        control.status(Phase.READY, "the handler is loaded")
        await stop.wait()
        control.status(Phase.DRAINING, "finishing what is started")
        await drain(server, desk, grace=config.grace)
        listening.close()
        for connection in tuple(server.connections):
            connection.abort()
        keeping_time.cancel()
    threads.stop()


async def drain(server: Server, desk: Desk, *, grace: float) -> None:
    """Give back what waits, finish what is started, and wait until the gateway has gone."""
    server.closing = True
    desk.drain()
    try:
        async with asyncio.timeout(grace):
            await _until(lambda: desk.line.empty and _left(server))
    except TimeoutError:
        pass


def _left(server: Server) -> bool:
    server.close_idle(QUIET)
    return not server.connections


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(LOOK)
