"""The HTTP server of the API, within the operator's own event loop and tasks."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from gyrus.aio.ports import port_owner
from gyrus.contract.home import Home
from gyrus.server.app import closing

GRACE = 5
"""Seconds for requests to finish when the server ends. Then they are cancelled."""


class CannotListen(Exception):
    """The operator cannot listen on its address. The message is for the user.

    └── OperatorPortTaken    another process listens there
    """


class OperatorPortTaken(CannotListen):
    pass


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to this address. Port 0 is any free port. Raises CannotListen."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise OperatorPortTaken(
                f"The operator cannot listen on {host}:{port}: {_occupied(port)}, "
                "or choose another port with --operator-port."
            ) from error
        raise CannotListen(
            f"The operator cannot listen on {host}:{port}: {error.strerror}. "
            "Choose another port with --operator-port."
        ) from error
    listener.setblocking(False)
    return listener


async def serve(app: FastAPI, listener: socket.socket, *, started: asyncio.Event, grace: int = GRACE) -> None:
    """Serve until cancelled. Then refuse new requests, end streams, and cancel the rest after ``grace``.

    Sets ``started`` when requests are answered. Takes over the socket and closes it.
    """
    server = _Server(app, started, grace)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="operator API")
    try:
        await asyncio.shield(serving)  # so that a cancellation ends the server in an orderly way, below
    finally:
        closing(app).set()
        server.should_exit = True
        await _ended(serving, server)
        listener.close()


async def _ended(serving: asyncio.Task[None], server: uvicorn.Server) -> None:
    """Wait for the server's orderly end. If cancelled again, cancel it and the remaining requests."""
    try:
        await asyncio.wait([serving])
    finally:
        left = {serving, *server.server_state.tasks}
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)


class _Server(uvicorn.Server):
    """A server that leaves process signals to the operator, and sets an event when it has started."""

    def __init__(self, app: FastAPI, started: asyncio.Event, grace: int) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=grace,
        )
        super().__init__(config)
        self._started = started

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started.set()


def _occupied(port: int) -> str:
    """Name the process that has the port, and how to stop it."""
    listener = port_owner(port)
    home = Home.of_command(listener.command) if listener else None
    if home:
        return (
            f"the platform in {home.root} has the port, with {listener}. "
            f"Stop it (GYRUS_HOME={home.root} gyrus down)"
        )
    return f"{listener or 'another program'} has the port. Stop it"
