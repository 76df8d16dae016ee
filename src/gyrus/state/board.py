"""What we have seen: the operator's memory of the present. Lost with the process, observed anew by the next.

Each field has one writer. Readers listen to the field's hints and look again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gyrus.aio.signals import Signals
from gyrus.contract.operator import ForkServerView, ScalingView, StartupTimes, TrafficView
from gyrus.contract.replica import ReplicaStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """What one API's requests wait for, and how many may, and how long. Not the gateway's business."""

    slots: int | None
    """Of one replica. None: no limit, so that nobody waits at a replica."""
    longest_queue: int
    """Of one replica."""
    processes: int
    """Of one replica: each has its share of both."""
    replicas: int
    """Requested."""
    hold: float
    """Seconds from a request's arrival for which it may wait for the first replica."""
    generation: int
    """The wanted one."""
    unavailable_reason: str = ""
    """Why no replica will come, in a line; empty: one may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the gateway should treat one API."""

    api: str
    path: str
    """Under the gateway, with its leading slash: ``/iris``. The prefix is stripped on the way."""
    endpoints: frozenset[str]
    """``unix:/path`` or ``host:port`` of everything that may be sent a request now."""
    timeout: float
    """Seconds until the answer starts."""
    idempotent: bool = False
    protocol: Literal["http1", "http2"] = "http1"
    """What the replicas speak. ``http2`` is without TLS and without upgrade, as gRPC servers do."""
    activator: str | None = None
    """The endpoint that stands in where there is no replica; then it is the only one of ``endpoints``. None:
    nothing stands in for this API's replicas."""
    queueing: QueuePolicy | None = None
    """For the gate; None: it lets this API alone."""

    @property
    def replicas(self) -> frozenset[str]:
        """The endpoints that are replicas'."""
        return self.endpoints - {self.activator}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica, as its backend observed it, with what we made it from."""

    status: ReplicaStatus
    generation: int

    @property
    def id(self) -> str:
        return self.status.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Read from the gateway."""

    in_flight: int = 0
    view: TrafficView = field(default_factory=TrafficView)


@dataclass(slots=True)
class Board:
    """The noticeboards, and the bells that tell of a change on them."""

    replicas: dict[str, tuple[Replica, ...]] = field(default_factory=dict[str, tuple[Replica, ...]])
    """By API. Written by control."""
    routes: dict[str, Route] = field(default_factory=dict[str, Route])
    """By API: what the gateway should do. Written by control, all routes before routing starts."""
    acknowledged: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By API: the endpoints that requests surely reach. Written by routing. An API that is not here is not
    routed, or nothing is known of it yet."""
    reachable: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By API: every endpoint that the gateway may send a request to, now or once what it was told last has
    reached it. Written by routing. An API that is not here gets no request."""
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
    """Why it does not run, or what it refused last; else empty. Written by routing."""

    intent_signals: Signals = field(default_factory=Signals)
    """Rung by the server after a write to the store; keys are APIs. Control listens."""
    replica_signals: Signals = field(default_factory=Signals)
    """Rung by control when replicas or a rollout's outcome changed; keys are APIs. Server listens."""
    route_signals: Signals = field(default_factory=Signals)
    """Rung by control; keys are APIs. Routing listens."""
    acknowledged_signals: Signals = field(default_factory=Signals)
    """Rung by routing; keys are APIs. Control listens."""
    demand_signals: Signals = field(default_factory=Signals)
    """Rung by the gate when a request begins to wait for a replica; keys are APIs. Control listens."""
    event_signals: Signals = field(default_factory=Signals)
    """Notified by the recorder when it has stored events; keys are APIs. The server listens."""
    gateway_signals: Signals = field(default_factory=Signals)
    """Rung by routing when ``gateway`` changes; the key is the new value."""
