"""Settings of the gateway, and the paths of its files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.contract.home import Home

HIGHEST_BASE_ID = 200_000_000
"""Highest id for hot restart. Envoy multiplies it by ten, in 32 bits."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """The access log: one JSON line per request. It is rotated when it exceeds ``max_bytes``."""

    enabled: bool = True
    max_bytes: int = 64 * MIB
    keep: int = 4
    """Number of rotated files to keep (``access.log.1`` …)."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket that only its owner may connect to."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of PEM files. Both ends of a connection show a certificate that the authority has signed."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsAddress:
    """A TCP port with mutual TLS."""

    host: str
    port: int
    tls: TlsFiles


AdsAddress = UnixAddress | TlsAddress
"""The address at which gateways get their configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Settings of the gateway. Times are in seconds, sizes in bytes."""

    port: int = 8080
    address: str = "127.0.0.1"
    """Address to listen on. Endpoints have no authentication of their own: expose it only on purpose."""
    concurrency: int | None = None
    """Envoy's worker threads; None for one per two cores.

    One worker answers about 30,000 requests per second. On two cores, a second worker takes more from a busy
    replica than it adds (13,000 instead of 19,000).
    """
    retry_body: int = 12 * MIB
    """Longest body to keep for a retry. The gateway sends a longer body only once."""
    stream_idle: float = 600.0
    """Time without data after which a stream (SSE, WebSocket, gRPC) is ended."""
    access_log: AccessLog = field(default_factory=AccessLog)
    retries_at: str | None = None
    """Endpoint of the gateway's own listener for second passes: a Unix socket. None: a gateway without it
    sends nothing again that a replica may have started, because it could not limit how often."""
    requeue_secret: str = ""
    """Value of the platform's own requeue header. Empty: no such header is believed."""

    @property
    def workers(self) -> int:
        return self.concurrency or max(1, (os.cpu_count() or 1) // 2)


@dataclass(frozen=True, slots=True)
class GatewayFiles:
    """Paths of Envoy's files in a home."""

    home: Home

    @property
    def node(self) -> str:
        """Envoy's node id, which distinguishes the Envoy of this home from any other."""
        return "gyrus-" + hashlib.sha256(os.fsencode(self.home.root)).hexdigest()[:16]

    @property
    def base_id(self) -> int:
        """Id of hot restart's shared memory, so that several homes on one machine do not collide."""
        digest = hashlib.sha256(os.fsencode(self.home.root)).digest()
        return int.from_bytes(digest[:4]) % HIGHEST_BASE_ID

    @property
    def admin_socket(self) -> Path:
        return self.home.run / "envoy-admin.sock"

    @property
    def xds_socket(self) -> Path:
        return self.home.run / "xds.sock"

    @property
    def bridge_socket(self) -> Path:
        """Envoy's own socket for requests that change the protocol."""
        return self.home.run / "bridge.sock"

    @property
    def retries_socket(self) -> Path:
        """Envoy's own socket for requests that it sends again."""
        return self.home.run / "retries.sock"

    @property
    def hot_restart_socket(self) -> Path:
        """Prefix of hot restart's sockets: Envoy appends ``_parent_0`` and the like."""
        return self.home.run / "envoy-hot"

    @property
    def shared_memory(self) -> Path:
        """Hot restart's shared memory, as Linux shows it.

        Envoy leaves it behind. It is the only file outside the home.
        """
        return Path("/dev/shm") / f"envoy_shared_memory_{self.base_id * 10}"

    @property
    def bootstrap(self) -> Path:
        return self.home.envoy_bootstrap

    @property
    def state(self) -> Path:
        """Record of the gateway's process (see :class:`gyrus.routing.envoy.EnvoyIdentity`)."""
        return self.home.envoy / "envoy.json"

    @property
    def log(self) -> Path:
        return self.home.envoy / "envoy.log"

    @property
    def output(self) -> Path:
        """Output of the last Envoy before its log was open, or while it died."""
        return self.home.envoy / "envoy.out"

    @property
    def access_log(self) -> Path:
        return self.home.envoy / "access.log"
