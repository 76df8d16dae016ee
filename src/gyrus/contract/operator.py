"""Requests and answers of the operator's HTTP API (see ``gyrus.server`` for the routes)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.replica import ReplicaStatus, StartKind

TOKEN_HEADER = "authorization"
"""``Bearer <token>``, required on every call over TCP."""
LARGEST_PACKAGE = 2**30
"""Bytes of a package, by default."""


class Status(StrEnum):
    """The state of an API as a whole."""

    CREATING = "creating"
    LIVE = "live"
    UPDATING = "updating"
    IDLE = "idle"
    DEGRADED = "degraded"
    FAILED = "failed"
    DELETING = "deleting"


class ApiOwner(StrEnum):
    """The origin of an API: only the same one may change it."""

    CLI = "cli"
    """``gyrus deploy`` or another client of the operator's API."""
    MANIFEST = "manifest"
    """An object of the cluster, applied with kubectl or by a tool such as Argo CD."""


class Cause(StrEnum):
    """The cause of a rollout."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    REFRESH = "refresh"


class Outcome(StrEnum):
    """The outcome of a rollout, or that it has none yet."""

    PROGRESSING = "progressing"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCounts:
    requested: int
    ready: int
    up_to_date: int
    """Ready replicas of the target generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    generation: int
    revision: int
    cause: Cause
    outcome: Outcome
    message: str
    started_at: str
    finished_at: str | None = None
    started_by: str = ""
    """The token, the user or the manifest that began it. Empty if an earlier gyrus began it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiView:
    """One API in brief, as ``gyrus get -o json`` prints it. Times are RFC 3339, UTC."""

    name: str
    kind: str
    status: Status
    endpoint: str
    revision: int
    """The target revision; after a failed rollout, the one that serves."""
    replicas: ReplicaCounts
    in_flight: int
    created_at: str
    updated_at: str
    message: str
    """The reason if the API is not live; else empty."""
    owner: ApiOwner = ApiOwner.CLI
    cost_per_hour: float | None = None
    """US dollars, at present. None if no machine has a price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiChanges:
    """How the list of all APIs differs from an earlier one."""

    apis: tuple[ApiView, ...] = ()
    """New ones, and those of which something changed."""
    gone: tuple[str, ...] = ()
    """Names of those that were deleted."""


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
    id: int = 0
    """Higher than every earlier event's. A repeated event gets a new one. 0: the operator has no ids."""
    count: int = 1
    """Number of occurrences; ``time`` is that of the last one."""
    first_time: str | None = None
    """The time of the first occurrence. None if there was only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingView:
    """The autoscaler's latest decision on an API."""

    time: str
    was: int
    desired: int
    """Replicas that the traffic needs, before any limit."""
    replicas: int
    rule: str
    """The rule that limited it: one stable word, or empty."""
    message: str
    """``desired 7, set to 4: upscale factor 1.5 from 3``"""
    inputs: dict[str, float] = field(default_factory=dict[str, float])
    """The decision's inputs, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupTimes:
    """Start-up times of a revision's latest replicas, from their order until requests reached them."""

    kind: StartKind
    median: float
    """Seconds: one of the measured times, the lower of the two in the middle."""
    last: float
    """Seconds."""
    count: int
    """Measured times; at most 20 are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkServerView:
    """The process from which an API's next replicas will be forked."""

    phase: ForkServerPhase
    because: str = ""
    """The reason for cold starts, for now or always; empty if replicas start warm."""
    memory: int = 0
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficView:
    """Traffic since the gateway started. Latencies in milliseconds; None if there were no requests."""

    requests: int = 0
    by_code: dict[str, int] = field(default_factory=dict[str, int])
    """Keys ``2xx`` to ``5xx``."""
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """The replicas of one generation, and what goes through them. An update has two for a while."""

    generation: int
    revision: int
    share: float
    """Part of new requests that goes to it: 0 to 1."""
    in_flight: int
    traffic: TrafficView


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaView:
    status: ReplicaStatus
    generation: int
    up_to_date: bool
    routed: bool
    """True if the gateway has acknowledged the replica and sends requests to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionView:
    number: int
    digest: str
    created_at: str
    package: str | None
    live: bool
    rollouts: tuple[RolloutView, ...] = ()
    fault: str = ""
    """The reason why its specification cannot be read; else empty."""


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
    """Requests that wait because no replica is ready."""
    scaling: ScalingView | None = None
    """The latest decision; None if there was none since the operator started."""
    starts: tuple[StartupTimes, ...] = ()
    """Start-up times of the target revision's replicas, cold ones first."""
    fork_server: ForkServerView | None = None
    """The fork server; None if warm starts are not requested, or if no revision is live yet."""
    pools: tuple[PoolView, ...] = ()
    """The pools of the route, the newest generation first. ``traffic`` counts those that are gone too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """Body of ``POST /v1/deployments``: APIs that share one package. The operator accepts all or none."""

    apis: tuple[dict[str, Any], ...]
    package: str | None
    """Digest of an uploaded package; None if no API needs files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    name: str
    revision: int
    generation: int
    changed: bool
    """False if the API is unchanged; then no rollout was started."""
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    to: int | None = None
    """The revision to roll back to; None means the one that was live before the target revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A named token of the operator's API, without the token itself."""

    name: str
    read_only: bool
    created_at: str
    created_by: str
    """The token, or the user of the operator's machine, that created it. Empty if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just created."""

    name: str
    read_only: bool
    token: str
    """The operator does not keep it: this is the only time that it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """Body of ``POST /v1/tokens``."""

    name: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    time: float
    """Seconds since the epoch."""
    replica: str
    message: str
    stream: str = "stdout"
    """``stdout``, ``stderr``, or ``gyrus`` for the runtime's own lines."""
    level: str | None = None
    request_id: str | None = None
    process: int = 0
    run: int = 0
    """The number of restarts of the process before it wrote this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    api: str
    replica: str | None = None
    since: float | None = None
    """Seconds since the epoch."""
    follow: bool = False
    """Follow new lines, also those of replicas that start later."""
    previous: bool = False
    """Only lines from before the processes' last restart, and of replicas that are gone."""
    tail: int | None = None
    """At most this many past lines, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountView:
    """An amount of a machine's resources."""

    cpu: float
    """Cores."""
    mem: int
    """Bytes."""
    gpu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeClassView:
    """Nodes of a cluster that are alike."""

    group: str
    """The node group; empty if the nodes name none."""
    instance_type: str
    """Empty if the nodes do not name it."""
    capacity_type: str
    """``spot`` or ``on-demand``; empty if it is unknown."""
    taints: tuple[str, ...]
    """The taints that a replica must tolerate to run here: ``key=value:effect``."""
    nodes: int
    closed: int
    """Number of the nodes that take no new replicas: cordoned, lost, or about to be removed."""
    total: AmountView
    """Amount that the nodes offer to pods, without those that are closed."""
    held: AmountView
    """Held by replicas on these nodes."""
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityView:
    """Capacity for replicas, counted by their requests in ``compute``, not by their real use.

    In a cluster, other pods hold a part of the total, too.
    """

    total: AmountView
    held: AmountView
    """Held by running replicas. More than the total if the machine is overcommitted, or was."""
    waiting: AmountView
    """Requested by replicas that wait for capacity."""
    replicas: int
    """Replicas that hold capacity."""
    replicas_waiting: int
    overcommit: bool
    """True if CPU and memory are granted without limit. A GPU is never granted twice."""
    nodes: tuple[NodeClassView, ...] = ()
    """The classes of a cluster's nodes. Empty on one machine."""


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
    """The capacity; None if the backend does not count it."""
    max_package: int = LARGEST_PACKAGE
    """The most bytes of a package."""
