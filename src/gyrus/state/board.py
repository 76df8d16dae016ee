"""The board: the operator's memory of the present.

It is lost with the process, and the next operator observes again. Each field has one writer. Readers listen
to the field's signals, and read the field again when they are notified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gyrus.aio.signals import Signals
from gyrus.contract.nodes import NodesView
from gyrus.contract.operator import ForkServerView, ScalingView, StartupTimes, TrafficView
from gyrus.contract.replica import ReplicaStatus
from gyrus.log_archive.export import ExportCounts
from gyrus.log_archive.intake import ArchiveCounts
from gyrus.spec.cors import Cors
from gyrus.state.gateway_load import GatewayLimit, GatewayLoad, LimitUse
from gyrus.state.histogram import Histogram

Endpoints = frozenset[str]
Protocol = Literal["http1", "http2"]
"""A replica's protocol. ``http2`` is without TLS and without upgrade, as gRPC servers expect."""
ByPool = Mapping[str, Endpoints]
"""Endpoints by the pool's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """How requests queue in one pool, for the gate. The gateway does not read it."""

    slots: int | None
    """Slots of one replica. None means no limit: no request waits at a replica."""
    longest_queue: int
    """Requests that may wait at one replica."""
    processes: int
    """Processes of one replica. They divide its slots and its queue equally."""
    replicas: int
    """Requested replicas of the API."""
    hold: float
    """Seconds from a request's arrival at the activator for which it may wait for the first replica."""
    generation: int
    """Number of the API's target generation."""
    unavailable_reason: str = ""
    """The reason, in one line, why requests should not wait for a replica. Empty if they should."""


TOTAL_WEIGHT = 10_000
"""Sum of the weights of a route. It is constant, so that users whom a hash assigns to a pool stay there when
the weights of the other pools change."""


def pool_id(api: str, generation: int) -> str:
    """Return the name of a pool, which is also the name of its cluster in Envoy.

    The slash is unambiguous, since names of APIs are DNS labels.

    >>> pool_id("iris", 3)
    'iris/3'
    """
    return f"{api}/{generation}"


def api_of(pool: str) -> str:
    """Return the API that a pool belongs to.

    Earlier versions had one cluster for each API, with the API's name. An adopted Envoy may still report it.

    >>> api_of("iris/3"), api_of("iris")
    ('iris', 'iris')
    """
    return pool.partition("/")[0]


def is_pool(cluster: str) -> bool:
    """Return True if one of Envoy's clusters is a pool, and not a part of the gateway.

    >>> is_pool("iris/3"), is_pool("iris"), is_pool("gyrus.retries")
    (True, True, False)
    """
    return "." not in cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The endpoints of one generation of an API: one cluster in Envoy, with counts and latencies of its own.

    Envoy retries a requeued request within the cluster that the route chose. A pool whose last replica stops
    therefore needs a ``fallback``: without one, Envoy has no host for the requests that this replica
    requeues.
    """

    api: str
    generation: int
    revision: int
    replicas: Endpoints = frozenset()
    """``unix:/path`` or ``host:port`` of each process of this generation that may receive a request now."""
    fallback: Endpoints = frozenset()
    """Endpoints to use while ``replicas`` is empty: replicas of other pools, the bridge, or the activator."""
    protocol: Protocol = "http1"
    runtime_answers: bool = True
    """True if the runtime answers for the replicas: it marks what it requeues, and removes private headers
    from the answers of handlers and servers behind it. False: nothing that a replica marks is believed."""
    queueing: QueuePolicy | None = None
    """The policy for the gate. None means that the gate ignores the requests of this pool."""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", pool_id(self.api, self.generation))

    @property
    def endpoints(self) -> Endpoints:
        """The endpoints that gateways should use."""
        return self.replicas or self.fallback


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedPool:
    """A pool in a route, with its share of new requests."""

    pool: Pool
    weight: int = TOTAL_WEIGHT
    """Share of new requests, of :data:`TOTAL_WEIGHT`. 0: the pool only finishes the requests that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the gateway should treat one API: a path, and the pools behind it."""

    api: str
    path: str
    """Path under the gateway, with its leading slash: ``/iris``. The gateway strips this prefix."""
    shares: tuple[WeightedPool, ...]
    """All pools of the API, the newest generation first."""
    timeout: float
    """Seconds until the answer must start."""
    idempotent: bool = False
    max_body: int = 32 * 2**20
    """The most bytes of a request's body."""
    cors: Cors | None = None
    """The other origins whose pages may call the API, and how. None if none may."""
    pools: tuple[Pool, ...] = field(init=False, repr=False, compare=False)
    routed: tuple[WeightedPool, ...] = field(init=False, repr=False, compare=False)
    """The shares that receive new requests."""

    def __post_init__(self) -> None:
        # Routing reads those of all APIs after a change of any of them.
        object.__setattr__(self, "pools", tuple(share.pool for share in self.shares))
        object.__setattr__(self, "routed", tuple(share for share in self.shares if share.weight))

    @property
    def replicas(self) -> Endpoints:
        """The endpoints of all replicas."""
        return frozenset[str]().union(*(pool.replicas for pool in self.pools))

    @property
    def endpoints(self) -> Endpoints:
        """All endpoints that requests may be sent to: the replicas and the fallbacks."""
        return frozenset[str]().union(*(pool.endpoints for pool in self.pools))

    @property
    def queueing(self) -> QueuePolicy | None:
        """The policy of the newest pool that has one, of those that receive new requests if possible.

        A pool of HTTP/2 has none. An older pool of HTTP/1 may then still have requests that wait.
        """
        found = (share.pool.queueing for share in (*self.routed, *self.shares))
        return next((queueing for queueing in found if queueing), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica, as its backend observed it, and the generation that it was started for."""

    status: ReplicaStatus
    generation: int
    evacuation: str = ""
    """The reason why a replica elsewhere must replace it: its node is drained or lost. Empty if none must."""

    @property
    def id(self) -> str:
        return self.status.id


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFailure:
    """The failure of the latest start of an API's replicas."""

    generation: int
    """Number of the generation whose replicas were started."""
    message: str
    """The reason and the remedy, in a clause."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRefusal:
    """A part of an API's configuration that a gateway refuses."""

    message: str
    """A sentence that names the part and the gateway's reason."""
    pools: frozenset[str] = frozenset()
    """The pools that get no requests, or not those that they should, because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTraffic:
    """One pool's requests, as measured by the gateway."""

    in_flight: int = 0
    view: TrafficView = field(default_factory=TrafficView)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One API's requests, as measured by the gateway: the sums over its pools."""

    in_flight: int = 0
    view: TrafficView = field(default_factory=TrafficView)
    """Sums that include pools that no longer exist."""
    pools: Mapping[str, PoolTraffic] = field(default_factory=dict[str, PoolTraffic])
    """By the pool's id: the pools of the present route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Costs in US dollars. ``total``: since the operator started."""

    per_hour: Mapping[str, float] = field(default_factory=dict[str, float])
    """By API: at present."""
    total: Mapping[str, float] = field(default_factory=dict[str, float])
    """By API."""
    idle_per_hour: float = 0.0
    """For capacity of machines that no API reserves."""
    idle_total: float = 0.0
    shared_per_hour: float = 0.0
    """For parts of the cluster that no API causes alone."""
    shared_total: float = 0.0


@dataclass(slots=True)
class Board:
    """Observed facts by API, and the signals that notify readers of changes."""

    replicas: dict[str, tuple[Replica, ...]] = field(default_factory=dict[str, tuple[Replica, ...]])
    """By API. Written by control."""
    routes: dict[str, Route] = field(default_factory=dict[str, Route])
    """By API: the route that gateways should have. Written by control, all routes before routing starts."""
    acknowledged: dict[str, ByPool] = field(default_factory=dict[str, ByPool])
    """By API and pool: the endpoints that requests in the pool are certain to reach, through every gateway.
    Written by routing. A pool is missing while some gateway does not know it, or does not route to it
    although it should. An API is missing while all its pools are."""
    reachable: dict[str, ByPool] = field(default_factory=dict[str, ByPool])
    """By API and pool: every endpoint that some gateway may send a request to, now or after it has applied
    the last configuration that it was sent. Written by routing. A missing API receives no request."""
    acknowledgements: Histogram = field(default_factory=Histogram)
    """Seconds from a change of a pool's endpoints, or of its place in a route, until every gateway had
    acknowledged it. Written by routing."""
    refused: dict[str, RouteRefusal] = field(default_factory=dict[str, RouteRefusal])
    """By API: the part of its configuration that a gateway refuses, and the reason. Written by routing."""
    bridge: str | None = None
    """The endpoint at which each gateway accepts requests of one protocol for replicas of the other. None if
    gateways have none. Written by routing when it is created."""
    traffic: dict[str, Traffic] = field(default_factory=dict[str, Traffic])
    """By API: its measured requests. Written by routing."""
    traffic_readings: int = 0
    """Number of readings of the traffic so far: ``traffic`` is that of the latest one. Written by routing."""
    held: dict[str, int] = field(default_factory=dict[str, int])
    """By API: requests that wait at the activator for a replica. Written by the gate. A missing API has
    none."""
    hold_load: Mapping[str, LimitUse] = field(default_factory=dict[str, LimitUse])
    """By name: the use of the activator's limits. Written by the gate."""
    scaling: dict[str, ScalingView] = field(default_factory=dict[str, ScalingView])
    """By API: the autoscaler's latest decision. Written by control."""
    decisions: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=dict[str, Counter[tuple[str, str]]]
    )
    """By API: the number of autoscaling decisions since the operator started, by the rule that bound them and
    by direction (``up``, ``down``, ``stay``). Written by control."""
    asked: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """By API: the time at which a request was last observed. Written by control."""
    start_failures: dict[str, StartFailure] = field(default_factory=dict[str, StartFailure])
    """By API: the failure of its latest start. Written by control. A missing API has had no failure since a
    replica was last ready."""
    starts: dict[str, tuple[StartupTimes, ...]] = field(default_factory=dict[str, tuple[StartupTimes, ...]])
    """By API: startup times of replicas of the target revision. Written by control."""
    fork_servers: dict[str, ForkServerView] = field(default_factory=dict[str, ForkServerView])
    """By API: the fork server of its next replicas. Written by control. A missing API requires none."""
    dropped_events: Counter[str] = field(default_factory=Counter[str])
    """By API: events that could not be stored since the operator started. Written by the event recorder."""
    gateway: str = "starting"
    """``running``, ``starting`` or ``down``. Written by routing."""
    gateway_message: str = ""
    """The reason why the gateway does not run, or the configuration that it refuses. Empty if it runs without
    fault. Written by routing."""
    gateway_load: GatewayLoad = field(default_factory=GatewayLoad)
    """The use of the gateway's own limits. Written by routing."""
    gateway_limit: GatewayLimit | None = None
    """The limit that the gateway has reached, or is about to reach. Written by routing."""
    log_archive: ArchiveCounts | None = None
    """The counts of the log archive. None if there is none. Written by it."""
    spending: Spending | None = None
    """The present costs. None if no machine has a price. Written by the cost meter."""

    nodes: NodesView | None = None
    """The nodes of a cluster as the operator plans them. None if it plans none. Written by their driver."""
    log_export: ExportCounts | None = None
    """The counts of the log's copy outside the cluster. None if there is none. Written by it."""

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

    def set_gateway(self, state: str) -> None:
        """Write the gateway's state, and notify its readers of a change."""
        if self.gateway != state:
            self.gateway = state
            self.gateway_signals.notify(state)

    def acknowledged_of(self, api: str) -> Endpoints:
        """Return the acknowledged endpoints of all its pools."""
        return frozenset[str]().union(*self.acknowledged.get(api, {}).values())

    def no_request_is_held(self) -> bool:
        """Return True if no request waits at the activator."""
        return not any(self.held.values())

    def reachable_of(self, api: str) -> Endpoints:
        """Return the reachable endpoints of all its pools."""
        return frozenset[str]().union(*self.reachable.get(api, {}).values())
