"""The board: the operator's memory of the present. It is lost with the process, and the next one observes
again.

Each field has one writer. Readers listen to the field's signals and look again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gyrus.aio.signals import Signals
from gyrus.contract.operator import ForkServerView, ScalingView, StartupTimes, TrafficView
from gyrus.contract.replica import ReplicaStatus

Endpoints = frozenset[str]
ByPool = Mapping[str, Endpoints]
"""Endpoints by the pool's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """How requests queue in one pool, for the gate. The gateway does not look at it."""

    slots: int | None
    """The slots of one replica. None: no limit, so that no request waits at a replica."""
    longest_queue: int
    """The requests that may wait at one replica."""
    processes: int
    """The processes of one replica: each has its share of both."""
    replicas: int
    """Requested, of the API."""
    hold: float
    """Seconds from a request's arrival for which it may wait for the first replica."""
    generation: int
    """The API's target."""
    unavailable_reason: str = ""
    """The reason why no replica will come, in a line; empty if one may."""


TOTAL_WEIGHT = 10_000
"""The sum of the weights of a route. It never changes: users that a hash assigns to a pool then stay there
when the weights of the others change."""


def pool_id(api: str, generation: int) -> str:
    """The name of a pool, and of its cluster in Envoy. Names of APIs are DNS labels, without a slash.

    >>> pool_id("iris", 3)
    'iris/3'
    """
    return f"{api}/{generation}"


def api_of(pool: str) -> str:
    """The API that a pool belongs to. Earlier versions had one cluster for each API, named like it.

    >>> api_of("iris/3"), api_of("iris")
    ('iris', 'iris')
    """
    return pool.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The endpoints of one generation of an API: one cluster in Envoy, with counts and latencies of its own.

    Envoy sends a requeued request again within the cluster that the route chose. A pool whose last replica
    leaves therefore needs a ``fallback``, or the requests that this replica requeues have nowhere to go.
    """

    api: str
    generation: int
    revision: int
    replicas: Endpoints = frozenset()
    """``unix:/path`` or ``host:port`` of the processes of this generation that may be sent a request now."""
    fallback: Endpoints = frozenset()
    """The stand-ins while ``replicas`` is empty: replicas of other pools, or the activator."""
    protocol: Literal["http1", "http2"] = "http1"
    """The replicas' protocol. ``http2`` is without TLS and without upgrade, as gRPC servers do."""
    queueing: QueuePolicy | None = None
    """For the gate; None: it leaves the requests of this pool alone."""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", pool_id(self.api, self.generation))

    @property
    def endpoints(self) -> Endpoints:
        """The endpoints that gateways should use."""
        return self.replicas or self.fallback


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedPool:
    """One pool's part of a route."""

    pool: Pool
    weight: int = TOTAL_WEIGHT
    """Its part of new requests, of :data:`TOTAL_WEIGHT`. 0: it gets none and ends those that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the gateway should treat one API: a path, and the pools behind it."""

    api: str
    path: str
    """Under the gateway, with its leading slash: ``/iris``. The prefix is stripped on the way."""
    shares: tuple[WeightedPool, ...]
    """All pools of the API, the newest generation first."""
    timeout: float
    """Seconds until the answer starts."""
    idempotent: bool = False

    @property
    def pools(self) -> tuple[Pool, ...]:
        return tuple(share.pool for share in self.shares)

    @property
    def routed(self) -> tuple[WeightedPool, ...]:
        """The shares that get new requests."""
        return tuple(share for share in self.shares if share.weight)

    @property
    def replicas(self) -> Endpoints:
        """The endpoints of all replicas."""
        return frozenset[str]().union(*(pool.replicas for pool in self.pools))

    @property
    def endpoints(self) -> Endpoints:
        """All that requests may be sent to: the replicas, and what stands in for them."""
        return frozenset[str]().union(*(pool.endpoints for pool in self.pools))

    @property
    def queueing(self) -> QueuePolicy | None:
        """The policy of the newest pool that gets new requests."""
        return self.routed[0].pool.queueing if self.routed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica, as its backend observed it, with what we made it from."""

    status: ReplicaStatus
    generation: int

    @property
    def id(self) -> str:
        return self.status.id


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTraffic:
    """One pool's requests, as the gateway measures them."""

    in_flight: int = 0
    view: TrafficView = field(default_factory=TrafficView)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One API's requests, as the gateway measures them: the sums over its pools."""

    in_flight: int = 0
    view: TrafficView = field(default_factory=TrafficView)
    """Pools that are gone by now are in it too."""
    pools: Mapping[str, PoolTraffic] = field(default_factory=dict[str, PoolTraffic])
    """By the pool's id: those that are on the route."""


@dataclass(slots=True)
class Board:
    """The noticeboards, and the signals that notify of a change on them."""

    replicas: dict[str, tuple[Replica, ...]] = field(default_factory=dict[str, tuple[Replica, ...]])
    """By API. Written by control."""
    routes: dict[str, Route] = field(default_factory=dict[str, Route])
    """By API: what the gateway should do. Written by control, all routes before routing starts."""
    acknowledged: dict[str, ByPool] = field(default_factory=dict[str, ByPool])
    """By API and pool: the endpoints that requests in the pool surely reach, whichever gateway they came
    through. Written by routing. A pool is missing while some gateway does not know it, or does not route to
    it though it should; an API is missing while this is so of all its pools."""
    reachable: dict[str, ByPool] = field(default_factory=dict[str, ByPool])
    """By API and pool: every endpoint that some gateway may send a request to, now or once what it was sent
    last has reached it. Written by routing. An API that is missing gets no request."""
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """By API: what a gateway refuses of its configuration, and why. Written by routing."""
    traffic: dict[str, Traffic] = field(default_factory=dict[str, Traffic])
    """By API. Written by routing."""
    held: dict[str, int] = field(default_factory=dict[str, int])
    """By API: requests that wait at the activator for a replica. Written by the gate. An API that is not here
    has none."""
    scaling: dict[str, ScalingView] = field(default_factory=dict[str, ScalingView])
    """By API: the autoscaler's latest decision. Written by control."""
    decisions: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=dict[str, Counter[tuple[str, str]]]
    )
    """By API: the autoscaler's decisions since the operator started, by the rule that bound them and their
    direction (``up``, ``down``, ``stay``). Written by control."""
    asked: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """By API: when a request of it was last seen. Written by control."""
    starts: dict[str, tuple[StartupTimes, ...]] = field(default_factory=dict[str, tuple[StartupTimes, ...]])
    """By API: how long replicas of the wanted revision took to start. Written by control."""
    fork_servers: dict[str, ForkServerView] = field(default_factory=dict[str, ForkServerView])
    """By API: what its next replicas will be forks of. Written by control. An API that is not here is not to
    have such a thing."""
    dropped_events: Counter[str] = field(default_factory=Counter[str])
    """By API: events that could not be stored since the operator started. Written by the
    recorder of events."""
    gateway: str = "starting"
    """``running``, ``starting`` or ``down``. Written by routing."""
    gateway_message: str = ""
    """The reason why it does not run, or what it refuses; else empty. Written by routing."""

    intent_signals: Signals = field(default_factory=Signals)
    """Notified by the server after a write to the store; keys are APIs. Control listens."""
    replica_signals: Signals = field(default_factory=Signals)
    """Notified by control when replicas or a rollout's outcome changed; keys are APIs. Server listens."""
    route_signals: Signals = field(default_factory=Signals)
    """Notified by control; keys are APIs. Routing listens."""
    acknowledged_signals: Signals = field(default_factory=Signals)
    """Notified by routing; keys are APIs. Control listens."""
    demand_signals: Signals = field(default_factory=Signals)
    """Notified by the gate when a request begins to wait for a replica; keys are APIs. Control listens."""
    event_signals: Signals = field(default_factory=Signals)
    """Notified by the recorder when it has stored events; keys are APIs. The server listens."""
    gateway_signals: Signals = field(default_factory=Signals)
    """Notified by routing when ``gateway`` changes; the key is the new value."""

    def acknowledged_of(self, api: str) -> Endpoints:
        """In any of its pools."""
        return frozenset[str]().union(*self.acknowledged.get(api, {}).values())

    def reachable_of(self, api: str) -> Endpoints:
        """In any of its pools."""
        return frozenset[str]().union(*self.reachable.get(api, {}).values())
