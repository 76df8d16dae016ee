"""The server of the aggregated discovery service: one stream an Envoy, on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from gyrus.routing.resources.kinds import NAMES
from gyrus.routing.snapshot import Snapshot
from gyrus.routing.xds.messages import DeltaRequest, read_request, write_response
from gyrus.routing.xds.stream_state import Ack, Push, StreamState

log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD = "DeltaAggregatedResources"
STOP_GRACE = 0.2
"""Seconds that a stream may take to end when the server stops. Envoy keeps its configuration."""


class StreamObserver(Protocol):
    """Is told what happens on the streams."""

    def opened(self, session: StreamState) -> None: ...
    def synced(self, session: StreamState) -> None:
        """Envoy has told all that it has."""
        ...

    def sent(self, session: StreamState, push: Push) -> None: ...
    def answered(self, session: StreamState, answer: Ack) -> None: ...
    def closed(self, session: StreamState) -> None: ...


class XdsServer:
    """Tells every Envoy that connects what the snapshot says.

    There is one as a rule, and two for the seconds of a hot restart.
    """

    def __init__(self, socket: Path, observer: StreamObserver, snapshot: Snapshot) -> None:
        self._socket = socket
        self._observer = observer
        self._snapshot = snapshot
        self._wakes: set[asyncio.Event] = set()

    def publish(self, snapshot: Snapshot) -> None:
        """This is wanted from now on."""
        self._snapshot = snapshot
        for wake in self._wakes:
            wake.set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve while the block runs. Streams end with it; Envoy goes on with what it has."""
        server = _server(self._socket, self._stream)
        await server.start()
        self._socket.chmod(0o600)
        try:
            yield
        finally:
            await server.stop(STOP_GRACE)

    async def _stream(
        self,
        requests: AsyncIterator[DeltaRequest],
        context: grpc.aio.ServicerContext[DeltaRequest, bytes],
    ) -> None:
        session, wake = StreamState(), asyncio.Event()
        self._wakes.add(wake)
        self._observer.opened(session)
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write(session, wake, context), name="xds-write")
                await self._read(session, wake, requests)
                writing.cancel()
        finally:
            self._wakes.discard(wake)
            self._observer.closed(session)

    async def _read(
        self, session: StreamState, wake: asyncio.Event, requests: AsyncIterator[DeltaRequest]
    ) -> None:
        async for request in requests:
            synced = session.synced
            answer = session.receive(request)
            if answer:
                self._observer.answered(session, answer)
            if session.synced and not synced:
                self._observer.synced(session)
            wake.set()

    async def _write(
        self,
        session: StreamState,
        wake: asyncio.Event,
        context: grpc.aio.ServicerContext[DeltaRequest, bytes],
    ) -> None:
        while True:
            await wake.wait()
            wake.clear()
            snapshot = self._snapshot
            while push := session.next_push(snapshot):
                body = _response(push, snapshot)
                self._observer.sent(session, push)
                await context.write(body)
                snapshot = self._snapshot


def _server(socket: Path, stream: Any) -> grpc.aio.Server:
    """One method on one socket. The stubs of grpc leave its generics open, hence the ``Any``."""
    rpc: Any = grpc
    method = rpc.stream_stream_rpc_method_handler(stream, request_deserializer=read_request)
    server: Any = rpc.aio.server()
    server.add_generic_rpc_handlers((rpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))
    server.add_insecure_port(f"unix:{socket}")
    return server


def _response(push: Push, snapshot: Snapshot) -> bytes:
    found = (snapshot.resource(push.kind, name) for name, version in push.versions.items() if version)
    bodies = [(resource.name, resource.version, resource.body) for resource in found if resource]
    removed = [name for name, version in push.versions.items() if version is None]
    log.debug("tells Envoy of %d and removes %d: %s", len(bodies), len(removed), NAMES[push.kind])
    return write_response(push.kind, push.nonce, bodies, removed)
