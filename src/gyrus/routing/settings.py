"""How the gateway is set up: what people may turn, and where its files are."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.contract.home import Home

HIGHEST_BASE_ID = 200_000_000
"""Envoy multiplies it by ten, in 32 bits."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """One JSON line a request. Rotated to ``access.log.1`` … when it grows over ``max_bytes``."""

    enabled: bool = True
    max_bytes: int = 64 * MIB
    keep: int = 4
    """Rotated files that are kept."""


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
    """Times in seconds, sizes in bytes."""

    port: int = 8080
    address: str = "127.0.0.1"
    """What to listen on. Endpoints have no authentication of their own: open it to others on purpose."""
    concurrency: int | None = None
    """Envoy's worker threads; None: one for every two cores. One answers some 30,000 requests a second; on
    two cores, a second one takes from a busy replica more than it gives (13,000 instead of 19,000)."""
    retry_body: int = 12 * MIB
    """The longest body that is kept for a retry. A longer one is passed on, and tried once."""
    stream_idle: float = 600.0
    """A stream (SSE, WebSocket, gRPC) on which nothing moves for so long is ended."""
    access_log: AccessLog = field(default_factory=AccessLog)

    @property
    def workers(self) -> int:
        return self.concurrency or max(1, (os.cpu_count() or 1) // 2)


@dataclass(frozen=True, slots=True)
class GatewayFiles:
    """Where Envoy's files are in a home."""

    home: Home

    @property
    def node(self) -> str:
        """Envoy's node id: tells the Envoy of this home from any other."""
        return "gyrus-" + hashlib.sha256(os.fsencode(self.home.root)).hexdigest()[:16]

    @property
    def base_id(self) -> int:
        """Names the shared memory of hot restart, so that several homes on one machine do not collide."""
        digest = hashlib.sha256(os.fsencode(self.home.root)).digest()
        return int.from_bytes(digest[:4]) % HIGHEST_BASE_ID

    @property
    def admin_socket(self) -> Path:
        return self.home.run / "envoy-admin.sock"

    @property
    def xds_socket(self) -> Path:
        return self.home.run / "xds.sock"

    @property
    def hot_restart_socket(self) -> Path:
        """Envoy appends ``_parent_0`` and the like."""
        return self.home.run / "envoy-hot"

    @property
    def shared_memory(self) -> Path:
        """Of hot restart, where Linux shows it. The one thing outside the home: Envoy leaves it behind."""
        return Path("/dev/shm") / f"envoy_shared_memory_{self.base_id * 10}"

    @property
    def bootstrap(self) -> Path:
        return self.home.envoy / "bootstrap.json"

    @property
    def state(self) -> Path:
        """Which process is the gateway's (see :class:`gyrus.routing.envoy.Identity`)."""
        return self.home.envoy / "envoy.json"

    @property
    def log(self) -> Path:
        return self.home.envoy / "envoy.log"

    @property
    def output(self) -> Path:
        """What the last Envoy printed before its log was open, or while it died."""
        return self.home.envoy / "envoy.out"

    @property
    def access_log(self) -> Path:
        return self.home.envoy / "access.log"
