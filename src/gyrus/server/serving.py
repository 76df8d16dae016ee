"""Serving the API within the operator's own event loop and tasks."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Generator
from contextlib import contextmanager

import psutil
import uvicorn
from fastapi import FastAPI

from gyrus.server.app import closing

GRACE = 5
"""Seconds that requests get to end when the server does; then they are cancelled."""


class CannotListen(Exception):
    """The address cannot be had. The message is for the user.

    └── OperatorPortTaken    somebody else listens there
    """


class OperatorPortTaken(CannotListen):
    pass


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to this address; port 0 is any free one. Raises CannotListen."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise OperatorPortTaken(
                f"The operator cannot listen on {host}:{port}: {_holder(port)} has the port. "
                "Stop it, or choose another port with --operator-port."
            ) from error
        raise CannotListen(
            f"The operator cannot listen on {host}:{port}: {error.strerror}. "
            "Choose another port with --operator-port."
        ) from error
    listener.setblocking(False)
    return listener


async def serve(app: FastAPI, listener: socket.socket, *, started: asyncio.Event, grace: int = GRACE) -> None:
    """Serve until cancelled, and then: refuse new requests, end streams, let the others end, cancel them.

    Sets ``started`` when requests are answered. Takes the socket over and closes it.
    """
    server = _Server(app, started, grace)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="operator API")
    try:
        await asyncio.shield(serving)
    finally:
        closing(app).set()
        server.should_exit = True
        await _ended(serving, server)
        listener.close()


async def _ended(serving: asyncio.Task[None], server: uvicorn.Server) -> None:
    """Wait for its orderly end; cancelled once more, cut it and what is left of the requests short."""
    try:
        await asyncio.wait([serving])
    finally:
        left = {serving, *server.server_state.tasks}
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)


class _Server(uvicorn.Server):
    """Leaves signals to the operator, and tells when it has started."""

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
        self._told = started

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told.set()


def _holder(port: int) -> str:
    """``NAME (process ID)``, where the system tells."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, PermissionError):
        pass
    return "another program"
