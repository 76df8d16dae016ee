"""Settings of the gateway, and the paths of its files."""

from __future__ import annotations

import hashlib
import os
import resource
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.contract.home import Home

HIGHEST_BASE_ID = 200_000_000
"""Highest id for hot restart. Envoy multiplies it by ten, in 32 bits."""
ASKS_EVERY = 5.0
"""Seconds after which either end of a connection between two machines asks if the other one is still there,
and seconds to wait for the answer. A machine that is lost closes no connection."""
MIB = 1024 * 1024
LEAST_FOR_BODIES = 512 * MIB
MOST_FILES = 1_048_576
"""Files that are counted on at most, even if there is no limit."""


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
class ConnectionLimits:
    """Limits of clients' connections. Times are in seconds."""

    most: int
    """Connections of all clients. Further ones are closed."""
    idle: float = 300.0
    """Longest time without a request. It shrinks to ``shortest_idle`` as connections become scarce."""
    shortest_idle: float = 1.0
    headers: float = 10.0
    """Longest time from a request's first byte to the end of its header."""
    body: float = 3600.0
    """Longest time for a request's body."""

    @classmethod
    def within(cls, files: int) -> ConnectionLimits:
        """Return the limits for this many open files.

        A quarter is reserved for connections to replicas, logs and the platform's own requests.
        """
        return cls(most=max(64, files - max(256, files // 4)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTier:
    """A limit of the requests whose bodies have a length of this range. Sizes are in bytes."""

    name: str
    least: int
    """Shortest length."""
    kept: int
    """Bytes that the gateway may keep of each."""
    most: int
    """Requests at the same time."""


SMALL_BODY = 100_000
"""Bytes. Bodies below have no limit of their own: the number of connections bounds them."""


def body_tiers(memory: int, longest_kept: int) -> tuple[BodyTier, ...]:
    """Divide the memory for bodies: half for those of a megabyte or more, half for the shorter ones."""
    half = memory // 2
    large = BodyTier(name="large", least=1_000_000, kept=longest_kept, most=max(4, half // longest_kept))
    medium = BodyTier(name="medium", least=SMALL_BODY, kept=MIB, most=max(16, half // MIB))
    return large, medium


def memory_for_bodies(memory: int) -> int:
    """Return the bytes that bodies under way may take in the gateway, of a machine with this memory."""
    return max(LEAST_FOR_BODIES, memory // 8)


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
    hosts: tuple[str, ...] = ()
    """Names besides those of the loopback interface under which clients may address the gateway."""
    connections: ConnectionLimits = field(default_factory=lambda: ConnectionLimits.within(_files()))
    bodies: int = field(default_factory=lambda: memory_for_bodies(_memory()))
    """Memory for bodies under way, of all APIs together."""

    retries_at: str | None = None
    """Endpoint of the gateway's own listener for second passes: a Unix socket. None: a gateway without it
    sends nothing again that a replica may have started, because it could not limit how often."""
    stand_ins: frozenset[str] = frozenset()
    """Endpoints of the platform itself that stand in for replicas: the activator, and the gateway's bridge.
    They get the private headers of requests that others do not get."""
    across_machines: bool = False
    """True if replicas run on other machines, which may be lost without a word."""
    requeue_secret: str = ""
    """Value of the platform's own requeue header. Empty: no such header is believed."""

    @property
    def tiers(self) -> tuple[BodyTier, ...]:
        return body_tiers(self.bodies, self.retry_body)

    @property
    def heap(self) -> int:
        """Envoy's memory at which it resets the requests that take most of it."""
        return self.bodies + self.bodies // 4 + 16 * 1024 * self.connections.most + 256 * MIB

    @property
    def workers(self) -> int:
        return self.concurrency or max(1, (os.cpu_count() or 1) // 2)


def _files() -> int:
    """Return the number of files that a process started by this one may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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
    def bodies_socket(self) -> Path:
        """Envoy's own socket for requests with long bodies, whose number is limited."""
        return self.home.run / "bodies.sock"

    @property
    def pressure(self) -> Path:
        """The file from which Envoy learns how scarce connections are (see ``gyrus.routing.pressure``)."""
        return self.home.envoy / "pressure"

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
