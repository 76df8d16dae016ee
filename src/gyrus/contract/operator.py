"""What the operator's HTTP API takes and answers (see ``gyrus.server`` for the routes)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.replica import ReplicaStatus, StartKind

TOKEN_HEADER = "authorization"
"""``Bearer <token>``, required on every call."""


class Status(StrEnum):
    """The state of an API as a whole."""

    CREATING = "creating"
    LIVE = "live"
    UPDATING = "updating"
    IDLE = "idle"
    DEGRADED = "degraded"
    FAILED = "failed"
    DELETING = "deleting"


class Cause(StrEnum):
    """Why a rollout was begun."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    REFRESH = "refresh"


class Outcome(StrEnum):
    """How a rollout ended, or that it has not."""

    PROGRESSING = "progressing"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCounts:
    requested: int
    ready: int
    up_to_date: int
    """Ready replicas of the generation that is wanted now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    generation: int
    revision: int
    cause: Cause
    outcome: Outcome
    message: str
    started_at: str
    finished_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiView:
    """One API in a sentence: what ``gyrus get -o json`` prints. Times are RFC 3339, UTC."""

    name: str
    kind: str
    status: Status
    endpoint: str
    revision: int
    """The revision that is wanted now; after a failed rollout, the one that serves."""
    replicas: ReplicaCounts
    in_flight: int
    created_at: str
    updated_at: str
    message: str
    """Why, when not live; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    time: str
    api: str
    type: str
    """``normal`` or ``warning``."""
    reason: str
    """One CamelCase word, stable."""
    message: str
    replica: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingView:
    """The autoscaler's latest decision on an API, as long as it stands."""

    time: str
    was: int
    wanted: int
    """What the traffic asked for, before bounds."""
    replicas: int
    rule: str
    """What bound it: one stable word, or empty."""
    message: str
    """``wanted 7, got 4: upscale factor 1.5 from 3``"""
    inputs: dict[str, float] = field(default_factory=dict[str, float])
    """What it was decided upon, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupTimes:
    """How long the latest replicas of a revision took, from their order until requests reached them."""

    kind: StartKind
    median: float
    """Seconds: one of the measured times, the lower of the two in the middle."""
    last: float
    """Seconds."""
    count: int
    """How many were measured; at most 20 are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerView:
    """The process that an API's next replicas will be forks of."""

    phase: ForkServerPhase
    because: str = ""
    """Why replicas start cold, or do so for now; empty: they start warm."""
    memory: int = 0
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficView:
    """Since the gateway started. Latencies in milliseconds, None while nothing was measured."""

    requests: int = 0
    by_code: dict[str, int] = field(default_factory=dict[str, int])
    """Keys ``2xx`` to ``5xx``."""
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaView:
    status: ReplicaStatus
    generation: int
    up_to_date: bool
    routed: bool
    """The gateway has acknowledged it and sends it requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionView:
    number: int
    digest: str
    created_at: str
    package: str | None
    live: bool
    rollouts: tuple[RolloutView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDescription:
    """Everything about one API."""

    api: ApiView
    spec: dict[str, Any]
    rollout: RolloutView
    replicas: tuple[ReplicaView, ...]
    traffic: TrafficView
    events: tuple[EventView, ...]
    """The latest, oldest first."""
    held: int = 0
    """Requests that wait because no replica is there."""
    scaling: ScalingView | None = None
    """None: nothing has been decided since the operator started."""
    starts: tuple[StartupTimes, ...] = ()
    """Of the revision that is wanted now: how long its replicas took to start, cold ones first."""
    fork_server: ForkServerView | None = None
    """None: warm starts are not asked for, or nothing is live yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """Body of ``POST /v1/deployments``: APIs that share one package. All or none are accepted."""

    apis: tuple[dict[str, Any], ...]
    package: str | None
    """Digest of an uploaded package; None where no API needs files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    name: str
    revision: int
    generation: int
    changed: bool
    """False: this is what was wanted already, and nothing was begun."""
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    to: int | None = None
    """None: the revision that was live before the one that is wanted now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    time: float
    """Seconds since the epoch."""
    replica: str
    message: str
    stream: str = "stdout"
    """``stdout``, ``stderr``, or ``gyrus`` for the runtime's own."""
    level: str | None = None
    request_id: str | None = None
    process: int = 0
    run: int = 0
    """How many times the process had been restarted when it wrote this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    api: str
    replica: str | None = None
    since: float | None = None
    """Seconds since the epoch."""
    follow: bool = False
    """Go on with what is written from now on, by replicas that start later too."""
    previous: bool = False
    """Only what processes wrote before their last restart, and replicas that are gone."""
    tail: int | None = None
    """At most so many lines of the past, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountView:
    """Of what a machine has."""

    cpu: float
    """Cores."""
    mem: int
    """Bytes."""
    gpu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityView:
    """What there is for replicas, by what they ask for in ``compute``, whatever they really use."""

    total: AmountView
    held: AmountView
    """By replicas that run. More than the total where it is overcommitted, or was."""
    waiting: AmountView
    """Asked for by replicas that wait for it."""
    replicas: int
    """That hold something."""
    replicas_waiting: int
    overcommit: bool
    """CPU and memory are given to whoever asks. GPUs never are given out twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInfo:
    version: str
    gateway: str
    """Base URL of the endpoints."""
    gateway_state: str
    """``running``, ``starting`` or ``down``."""
    backend: str
    pid: int
    home: str
    capacity: CapacityView | None = None
    """None: the backend does not count it."""
