"""The server of the aggregated discovery service: one stream for each Envoy, on a Unix socket or with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol

import grpc
import grpc.aio

from gyrus.routing.errors import GatewayPortTaken, TlsUnusable
from gyrus.routing.resources.kinds import NAMES
from gyrus.routing.settings import AdsAddress, TlsFiles, UnixAddress
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
    """Sends every Envoy that connects what the snapshot says."""

    def __init__(self, address: AdsAddress, observer: StreamObserver, snapshot: Snapshot) -> None:
        self._address = address
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
        """Serve while the block runs. Streams end with it; Envoy goes on with what it has.

        Raises TlsUnusable and GatewayPortTaken.
        """
        server = _server(self._address, self._stream)
        await server.start()
        if isinstance(self._address, UnixAddress):
            self._address.path.chmod(0o600)
        try:
            yield
        finally:
            await server.stop(STOP_GRACE)

    async def _stream(
        self,
        requests: AsyncIterator[DeltaRequest],
        context: grpc.aio.ServicerContext[DeltaRequest, bytes],
    ) -> None:
        first = await anext(aiter(requests), None)  # it names the node, and the others need not
        if first is None:
            return
        session, wake = StreamState(first.node.id), asyncio.Event()
        self._wakes.add(wake)
        self._observer.opened(session)
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write(session, wake, context), name="xds-write")
                self._receive(session, wake, first)
                async for request in requests:
                    self._receive(session, wake, request)
                writing.cancel()
        finally:
            self._wakes.discard(wake)
            self._observer.closed(session)

    def _receive(self, session: StreamState, wake: asyncio.Event, request: DeltaRequest) -> None:
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


def _server(address: AdsAddress, stream: Any) -> grpc.aio.Server:
    """One method on one address. The stubs of grpc leave its generics open, hence the ``Any``."""
    rpc: Any = grpc
    method = rpc.stream_stream_rpc_method_handler(stream, request_deserializer=read_request)
    server: Any = rpc.aio.server()
    server.add_generic_rpc_handlers((rpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))
    try:
        if isinstance(address, UnixAddress):
            server.add_insecure_port(f"unix:{address.path}")
        else:
            server.add_secure_port(f"{address.host}:{address.port}", _credentials(address.tls))
    except RuntimeError as error:
        raise GatewayPortTaken(f"Gateways cannot be configured on {address}: {error}") from error
    return server


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Envoys without a certificate of the authority are refused. Raises TlsUnusable."""
    rpc: Any = grpc
    try:
        pair = tls.key.read_bytes(), tls.certificate.read_bytes()
        authority = tls.authority.read_bytes()
    except OSError as error:
        raise TlsUnusable(
            f"The gateways' configuration port needs {error.filename}, which cannot be read: {error.strerror}"
        ) from error
    return rpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=True)


def _response(push: Push, snapshot: Snapshot) -> bytes:
    found = (snapshot.resource(push.kind, name) for name, version in push.versions.items() if version)
    bodies = [(resource.name, resource.version, resource.body) for resource in found if resource]
    removed = [name for name, version in push.versions.items() if version is None]
    log.debug("tells Envoy of %d and removes %d: %s", len(bodies), len(removed), NAMES[push.kind])
    return write_response(push.kind, push.nonce, bodies, removed)
