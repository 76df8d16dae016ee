"""The life cycle of a worker: serve, drain, end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Coroutine
from functools import cache
from typing import Any

from gyrus.contract.replica import Phase, ReplicaConfig
from gyrus.runtime.background import Background, log_loop_error
from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.wiring import wire
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.openapi import describe
from gyrus.runtime.loop_watch import NOT_BLOCKED, LoopWatch
from gyrus.runtime.private_calls import PrivateCalls
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
    """Set up the handler and serve until a signal arrives.

    Then finish the started requests and tear the handler down, or stop when the grace is over. Raises
    LoadFailed.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_error)
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    background, counted = Background(handler), Metrics()
    if handler.setup is not None:
        control.status(Phase.STARTING, f"waiting for {type(handler.instance).__name__}.setup")
        await _until(stop, background.set_up())
    admission, threads = wire(handler, config, counted, control.poison)
    service = Service(
        admission,
        Readiness(admission, threads),
        counted,
        describe=cache(lambda: describe(handler, config.api, config.revision)),
        answers_get=handler.answers_get,
        private_calls=PrivateCalls(config.proof.encode()),
    )
    server = Server(config.limits, service, counted.tally)
    watch = LoopWatch(lambda seconds, place: control.blocked(blockage(handler, seconds, place)))
    async with asyncio.TaskGroup() as group:
        keeping_time = group.create_task(server.keep_time(), name="connections' time")
        listening = await server.listen(bound)
        watch.start()
        control.status(Phase.READY, "the handler is loaded")
        await stop.wait()
        deadline = loop.time() + config.grace
        control.status(Phase.DRAINING, "finishing the requests in progress")
        await drain(server, admission, grace=config.grace)
        listening.close()
        await background.tear_down(threads, max(deadline - loop.time(), 0.0))
        for connection in tuple(server.connections):
            connection.abort()
        keeping_time.cancel()
    watch.stop()
    threads.stop()


def blockage(handler: LoadedHandler, seconds: float, place: str) -> str:
    """Explain that the event loop is blocked: a clause with the remedy. Returns "" if it is not."""
    if seconds == NOT_BLOCKED:
        return ""
    where = f" at {place}" if place else ""
    if handler.is_async:
        cause = "predict is async but blocks; make it def predict, or let it await asyncio.to_thread(...)"
    else:
        cause = "a task of the handler on the loop blocks; let it await asyncio.to_thread(...)"
    return f"its event loop has been blocked for more than {seconds:.0f} s{where}: {cause}"


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


async def _until(stop: asyncio.Event, body: Coroutine[Any, Any, None]) -> None:
    """Run the body, or cancel it once ``stop`` is set. Raises what the body raises."""
    tasks = (asyncio.create_task(body, name="setup"), asyncio.create_task(stop.wait(), name="stop"))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    event.clear()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
