"""The HTTP server of the API, within the operator's own event loop and tasks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from gyrus.server.acceptor import Acceptor
from gyrus.server.app import closing
from gyrus.server.connection import ApiConnection
from gyrus.server.listening import ApiListener

GRACE = 5
"""Seconds for requests to finish when the server ends. Then they are cancelled."""
LONGEST_HEADER = 64 * 1024
"""Bytes of a request's header."""


async def serve(
    app: FastAPI, listeners: Sequence[ApiListener], *, started: asyncio.Event, grace: int = GRACE
) -> None:
    """Serve until cancelled. Then refuse new requests, end streams, and cancel the rest after ``grace``.

    Sets ``started`` when requests are answered. Takes over the listeners and closes them.
    """
    closing(app).clear()  # set by an earlier run
    server = _Server(app, started, grace)
    serving = asyncio.create_task(server.serve(), name="operator API")
    try:
        await _accept(server, listeners, serving)
    finally:
        for listener in listeners:
            listener.close()
        closing(app).set()
        server.should_exit = True
        await _ended(serving, server)


async def _accept(server: _Server, listeners: Sequence[ApiListener], serving: asyncio.Task[None]) -> None:
    """Accept connections until cancelled, or until the server ends by itself."""
    async with asyncio.TaskGroup() as group:
        acceptors = [Acceptor(listener, server.new_connection) for listener in listeners]
        accepting = [group.create_task(acceptor.run(), name="operator API: accept") for acceptor in acceptors]
        await asyncio.wait([serving])  # a cancellation leaves it running: it ends in an orderly way later
        for task in accepting:
            task.cancel()


async def _ended(serving: asyncio.Task[None], server: uvicorn.Server) -> None:
    """Wait for the server's orderly end. If cancelled again, cancel it and the remaining requests."""
    task = asyncio.current_task()
    try:
        if task is None or task.cancelling() < 2:  # the second time may have been while the acceptors ended
            await asyncio.wait([serving])
    finally:
        left = {serving, *server.server_state.tasks}
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)


class _Server(uvicorn.Server):
    """A server that leaves process signals and listening to the operator, and sets an event once started."""

    def __init__(self, app: FastAPI, started: asyncio.Event, grace: int) -> None:
        config = uvicorn.Config(
            app,
            http=ApiConnection,
            h11_max_incomplete_event_size=LONGEST_HEADER,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=grace,
        )
        config.load()
        super().__init__(config)
        self._started = started

    def new_connection(self, user: str) -> ApiConnection:
        """Return a connection of this user of the machine; empty for any other client."""
        return ApiConnection(self.config, self.server_state, user=user)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = []  # the acceptors take their place
        self.started = True
        self._started.set()
