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
from gyrus.routing.settings import ASKS_EVERY, AdsAddress, TlsAddress, TlsFiles, UnixAddress
from gyrus.routing.snapshot import Snapshot
from gyrus.routing.xds import load_reports
from gyrus.routing.xds.load_reports import LoadReports
from gyrus.routing.xds.messages import DeltaRequest, read_request, write_response
from gyrus.routing.xds.stream_state import Ack, Push, StreamState

log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD = "DeltaAggregatedResources"
STOP_GRACE = 0.2
"""Seconds that a stream may take to end when the server stops. Envoy keeps its configuration after that."""

_ASKS_EVERY_MS = int(ASKS_EVERY * 1000)
KEEPALIVE = (
    ("grpc.keepalive_time_ms", _ASKS_EVERY_MS),
    ("grpc.keepalive_timeout_ms", _ASKS_EVERY_MS),
    ("grpc.http2.ping_timeout_ms", _ASKS_EVERY_MS),  # also of pings that measure the connection
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.max_ping_strikes", 0),  # Envoy asks as often; by default it would be refused
)
"""Options of a server for other machines. Their source is doc/keepalive.md of gRPC."""


class StreamObserver(Protocol):
    """Observer of the streams' events."""

    def opened(self, stream: StreamState) -> None: ...
    def synced(self, stream: StreamState) -> None:
        """Handle that Envoy has reported everything that it has."""
        ...

    def sent(self, stream: StreamState, push: Push) -> None: ...
    def answered(self, stream: StreamState, answer: Ack) -> None: ...
    def closed(self, stream: StreamState) -> None: ...


class XdsServer:
    """Server that sends the current snapshot to every connected Envoy."""

    def __init__(
        self,
        address: AdsAddress,
        observer: StreamObserver,
        snapshot: Snapshot,
        reports: LoadReports | None = None,
    ) -> None:
        """Create the server. ``reports``: the load reporting service to serve beside the configuration."""
        self._address = address
        self._reports = reports
        self._observer = observer
        self._snapshot = snapshot
        self._wakes: set[asyncio.Event] = set()

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the target of every stream."""
        self._snapshot = snapshot
        for wake in self._wakes:
            wake.set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve while the block runs. Its end closes the streams; Envoy keeps the configuration that it has.

        Raises TlsUnusable or GatewayPortTaken.
        """
        server = _server(self._address, self._stream, self._reports)
        await server.start()
        if isinstance(self._address, UnixAddress):
            # gRPC creates the socket with the process's umask. Until here, only its folder protects it.
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
        first = await anext(aiter(requests), None)  # only the first request has to name the node
        if first is None:
            return
        stream, wake = StreamState(first.node.id), asyncio.Event()
        self._wakes.add(wake)
        self._observer.opened(stream)
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write(stream, wake, context), name="xds-write")
                self._receive(stream, wake, first)
                async for request in requests:
                    self._receive(stream, wake, request)
                writing.cancel()  # Envoy has closed its half, so no acknowledgement can arrive any more
        finally:
            self._wakes.discard(wake)
            self._observer.closed(stream)

    def _receive(self, stream: StreamState, wake: asyncio.Event, request: DeltaRequest) -> None:
        synced = stream.synced  # before the request, to call the observer once per stream
        answer = stream.receive(request)
        if answer:
            self._observer.answered(stream, answer)
        if stream.synced and not synced:
            self._observer.synced(stream)
        wake.set()

    async def _write(
        self,
        stream: StreamState,
        wake: asyncio.Event,
        context: grpc.aio.ServicerContext[DeltaRequest, bytes],
    ) -> None:
        while True:
            await wake.wait()
            wake.clear()  # before the snapshot is read, so that a change during a write wakes the loop again
            snapshot = self._snapshot
            while push := stream.next_push(snapshot):
                body = _response(stream.node, push, snapshot)
                # The observer comes before the write: from here on, Envoy may use what the push adds.
                self._observer.sent(stream, push)
                await context.write(body)
                snapshot = self._snapshot


def _server(address: AdsAddress, stream: Any, reports: LoadReports | None) -> grpc.aio.Server:
    """Build a server on one address. ``Any``: the stubs of grpc leave type arguments open."""
    rpc: Any = grpc
    method = rpc.stream_stream_rpc_method_handler(stream, request_deserializer=read_request)
    handlers = [rpc.method_handlers_generic_handler(SERVICE, {METHOD: method})]
    if reports:
        counting = rpc.stream_stream_rpc_method_handler(
            reports.stream, request_deserializer=load_reports.read_report
        )
        methods = {load_reports.METHOD: counting}
        handlers.append(rpc.method_handlers_generic_handler(load_reports.SERVICE, methods))
    server: Any = rpc.aio.server(options=KEEPALIVE if isinstance(address, TlsAddress) else ())
    server.add_generic_rpc_handlers(tuple(handlers))
    try:
        if isinstance(address, UnixAddress):
            server.add_insecure_port(f"unix:{address.path}")
        else:
            server.add_secure_port(f"{address.host}:{address.port}", _credentials(address.tls))
    except RuntimeError as error:
        raise GatewayPortTaken(
            f"The operator cannot serve the gateways' configuration on {address}: {error}"
        ) from error
    return server


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Load credentials that refuse an Envoy without a certificate of the authority. Raises TlsUnusable.

    Each new connection gets those that are in the files then.
    """
    rpc: Any = grpc
    files = CredentialFiles(tls)
    first = files.read()
    return rpc.dynamic_ssl_server_credentials(_configuration(first), files.changed, True)


class CredentialFiles:
    """The certificate, its key and the authority of the port, in files that are replaced while it serves."""

    def __init__(self, tls: TlsFiles) -> None:
        self._tls = tls
        self._last: tuple[bytes, bytes, bytes] | None = None

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Return key, certificate and authority. Raises TlsUnusable."""
        try:
            self._last = (
                self._tls.key.read_bytes(),
                self._tls.certificate.read_bytes(),
                self._tls.authority.read_bytes(),
            )
        except OSError as error:
            raise TlsUnusable(
                f"The gateways' configuration port needs {error.filename}, which cannot be read: "
                f"{error.strerror}"
            ) from error
        return self._last

    def changed(self) -> Any:
        """Return the configuration of the files. Returns None, for the former one, if they are unchanged.

        gRPC calls this before each handshake, in a thread of its own.
        """
        before = self._last
        try:
            found = self.read()
        except TlsUnusable as error:
            log.error("%s. The former certificate stays.", error)
            return None
        return None if found == before else _configuration(found)


def _configuration(files: tuple[bytes, bytes, bytes]) -> Any:
    rpc: Any = grpc
    key, certificate, authority = files
    return rpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority)


def _response(node: str, push: Push, snapshot: Snapshot) -> bytes:
    found = (snapshot.resource(push.kind, name) for name, version in push.versions.items() if version)
    bodies = [(resource.name, resource.version, resource.parts) for resource in found if resource]
    removed = [name for name, version in push.versions.items() if version is None]
    counts = len(bodies), len(removed)
    log.debug("Sending %s to gateway %s: %d changed, %d removed", NAMES[push.kind], node, *counts)
    return write_response(push.kind, push.nonce, bodies, removed)
