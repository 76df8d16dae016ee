"""The life cycle of a worker: serve, drain, end."""

from __future__ import annotations

import asyncio
import signal
import socket
from functools import cache

from gyrus.contract.replica import Phase, ReplicaConfig
from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.wiring import wire
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.openapi import describe
from gyrus.runtime.readiness import Readiness
from gyrus.runtime.server.server import Server
from gyrus.runtime.service import Service
from gyrus.runtime.telemetry.control import Control
from gyrus.runtime.telemetry.metrics import Metrics

SIGNALS = (signal.SIGTERM, signal.SIGINT)
QUIET = 5.0
"""Seconds after which a drain ends an idle connection.

The gateway closes its own connections, so a connection that stays idle for this long is not the gateway's.
"""


async def serve(
    config: ReplicaConfig, handler: LoadedHandler, bound: socket.socket, control: Control
) -> None:
    """Serve until a signal arrives; then finish the started requests, or stop when the grace is over."""
    stop = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    counted = Metrics()
    admission, threads = wire(handler, config, counted)
    service = Service(
        admission,
        Readiness(admission, threads),
        counted,
        describe=cache(lambda: describe(handler, config.api, config.revision)),
        answers_get=handler.answers_get,
    )
    server = Server(config.limits, service, counted.tally)
    async with asyncio.TaskGroup() as group:
        keeping_time = group.create_task(server.keep_time(), name="connections' time")
        listening = await server.listen(bound)
        control.status(Phase.READY, "the handler is loaded")
        await stop.wait()
        control.status(Phase.DRAINING, "finishing the requests in progress")
        await drain(server, admission, grace=config.grace)
        listening.close()
        for connection in tuple(server.connections):
            connection.abort()
        keeping_time.cancel()
    threads.stop()


async def drain(server: Server, admission: Admission, *, grace: float) -> None:
    """Requeue waiting requests, finish started ones, and wait until the gateway has disconnected."""
    server.closing = True
    admission.drain()
    left = asyncio.Event()
    admission.released = server.lost = left.set
    try:
        async with asyncio.timeout(grace):
            while not (admission.queue.empty and not server.connections):
                await _wait(left, QUIET / 5)
                server.close_idle(QUIET)
    except TimeoutError:
        pass


async def _wait(event: asyncio.Event, seconds: float) -> None:
    event.clear()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
