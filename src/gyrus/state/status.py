"""The status, message and views of an API, derived from its record and from observation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gyrus.contract.operator import (
    ApiDescription,
    ApiView,
    Deployed,
    EventView,
    ForkServerView,
    Outcome,
    PoolView,
    ReplicaCounts,
    ReplicaView,
    RevisionView,
    RolloutView,
    ScalingView,
    StartupTimes,
    Status,
)
from gyrus.contract.replica import BECOMING, FAILING, Phase, Reason, ReplicaStatus
from gyrus.contract.times import rfc3339
from gyrus.spec.api import ApiSpec
from gyrus.spec.replicated import ReplicatedSpec
from gyrus.spec.stored import StoredSpec
from gyrus.state.board import TOTAL_WEIGHT, Board, PoolTraffic, Replica, StartFailure, Traffic
from gyrus.state.gateway_load import GatewayLimit
from gyrus.state.records import Api, Event, Revision, Rollout

_WHAT_THEY_DO = {
    Phase.PENDING: "waiting to start",
    Phase.BUILDING: "building its environment",
    Phase.STARTING: "starting",
}


NONE_YET = "waiting for a replica to start"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiObservation:
    """The observed facts about one API."""

    replicas: Sequence[Replica] = ()
    traffic: Traffic = field(default_factory=Traffic)
    acknowledged: frozenset[str] = frozenset()
    """Endpoints that the gateway uses."""
    pools: tuple[PoolView, ...] = ()
    """Pools of the route, the newest generation first."""
    refused: str = ""
    """The part of the API's configuration that a gateway refuses. Empty if it refuses nothing."""
    held: int = 0
    """Requests that wait because there is no replica."""
    asked: datetime | None = None
    """Time at which a request was last observed. None if it is not known."""
    start_failure: StartFailure | None = None
    scaling: ScalingView | None = None
    starts: tuple[StartupTimes, ...] = ()
    fork_server: ForkServerView | None = None
    gateway_fault: str | None = None
    """The reason why the gateway does not run, and so no request is answered. None if it runs."""
    gateway_limit: GatewayLimit | None = None
    """A limit of the gateway that is reached, or nearly."""
    cost_per_hour: float | None = None
    """US dollars. None if it is unknown."""

    @classmethod
    def on(cls, board: Board, api: str) -> ApiObservation:
        return cls(
            replicas=board.replicas.get(api, ()),
            traffic=board.traffic.get(api, Traffic()),
            acknowledged=board.acknowledged_of(api),
            pools=pool_views(board, api),
            refused=board.refused[api].message if api in board.refused else "",
            held=board.held.get(api, 0),
            asked=board.asked.get(api),
            start_failure=board.start_failures.get(api),
            scaling=board.scaling.get(api),
            starts=board.starts.get(api, ()),
            fork_server=board.fork_servers.get(api),
            gateway_fault=board.gateway_message if board.gateway == "down" else None,
            gateway_limit=board.gateway_limit,
            cost_per_hour=board.spending.per_hour.get(api) if board.spending else None,
        )


def view(api: Api, wanted: Revision, observation: ApiObservation, gateway: str) -> ApiView:
    """Return a short view of an API.

    ``wanted`` is its target's revision, and ``gateway`` the base URL of endpoints.
    """
    counts = count(api, observation.replicas)
    status = status_of(api, counts, observation)
    if status is Status.IDLE and not _is_scaled(wanted.spec):
        status = Status.LIVE  # no request starts a replica: the kind works without any
    message = message_of(api, status, observation)
    if status is Status.LIVE and observation.gateway_fault is not None:
        status, message = Status.DEGRADED, f"The gateway does not run: {observation.gateway_fault}"
    elif status is Status.LIVE and (limit := observation.gateway_limit):
        status, message = Status.DEGRADED if limit.refusing else status, limit.message
    if observation.refused and status in (Status.LIVE, Status.CREATING, Status.UPDATING):
        status = Status.DEGRADED if status is Status.LIVE else status
        message = observation.refused
    if wanted.fault and not api.deleting:
        status, message = Status.FAILED, _unreadable(wanted, counts)
    return ApiView(
        name=api.name,
        kind=api.kind,
        status=status,
        endpoint=endpoint(wanted.spec, gateway),
        revision=api.target.revision,
        replicas=counts,
        in_flight=observation.traffic.in_flight,
        created_at=rfc3339(api.created_at),
        updated_at=rfc3339(api.updated_at),
        message=message,
        owner=api.owner,
        cost_per_hour=observation.cost_per_hour,
    )


def _is_scaled(spec: StoredSpec) -> bool:
    return isinstance(spec, ReplicatedSpec) and spec.scaling is not None


def _unreadable(wanted: Revision, counts: ReplicaCounts) -> str:
    """Return the reason why no replica can be started, and how many replicas go on serving."""
    serving = f" Its {_replicas(counts.ready)} go on serving." if counts.ready > 1 else ""
    return wanted.fault + (" Its replica goes on serving." if counts.ready == 1 else serving)


def describe(
    api: Api,
    wanted: Revision,
    rollout: Rollout,
    events: Iterable[Event],
    observation: ApiObservation,
    gateway: str,
) -> ApiDescription:
    """Build the full description of an API. ``rollout`` is its latest one. ``events`` are oldest first."""
    return ApiDescription(
        api=view(api, wanted, observation, gateway),
        spec=_document(wanted.spec),
        rollout=rollout_view(rollout),
        replicas=tuple(
            _replica_view(replica, api, observation.acknowledged) for replica in observation.replicas
        ),
        traffic=observation.traffic.view,
        pools=observation.pools,
        events=event_views(events),
        held=observation.held,
        scaling=observation.scaling,
        starts=observation.starts,
        fork_server=observation.fork_server,
    )


def _document(spec: StoredSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json") if isinstance(spec, ApiSpec) else dict(spec.document)


def status_of(api: Api, counts: ReplicaCounts, observation: ApiObservation) -> Status:
    if api.deleting:
        return Status.DELETING
    if api.outcome is Outcome.PROGRESSING:
        return Status.UPDATING if api.live else Status.CREATING
    if api.outcome is Outcome.FAILED and api.live is None:
        return Status.FAILED
    if counts.requested == counts.ready == 0:
        return Status.DEGRADED if _refused_capacity(observation) else Status.IDLE
    if counts.ready >= counts.requested or (counts.ready and _grows(api, observation)):
        return Status.LIVE
    if all(_starts_for_the_first_time(replica) for replica in observation.replicas):
        return Status.CREATING  # after a restart of the platform, or when a request woke an idle API
    broken = any(replica.status.phase in (Phase.FAILED, Phase.BACKOFF) for replica in observation.replicas)
    return Status.FAILED if counts.ready == 0 and broken else Status.DEGRADED


def _refused_capacity(observation: ApiObservation) -> bool:
    """Return True if requests wait for a first replica, and there is no capacity for one."""
    return (
        bool(observation.held) and observation.scaling is not None and observation.scaling.rule == "capacity"
    )


def _starts_for_the_first_time(replica: Replica) -> bool:
    return replica.status.phase in BECOMING and replica.status.restarts == 0


def _grows(api: Api, observation: ApiObservation) -> bool:
    """Return True if more replicas were requested, and the missing ones start without trouble."""
    staying = [r for r in observation.replicas if r.status.phase not in (Phase.DRAINING, Phase.GONE)]
    missing = [replica for replica in staying if replica.status.phase is not Phase.READY]
    # The autoscaler may have raised the number a moment ago, before control could start the replicas.
    just_raised = (
        observation.scaling is not None
        and observation.scaling.was < observation.scaling.replicas == api.replicas
    )
    return (len(staying) >= api.replicas or just_raised) and all(
        _starts_for_the_first_time(replica) and replica.status.reason is None for replica in missing
    )


def message_of(api: Api, status: Status, observation: ApiObservation) -> str:
    """Return the reason, in one line, why an API is not live.

    Returns an empty message for a live API, unless its latest rollout has failed.
    """
    replicas = observation.replicas
    fallen_back = api.outcome is Outcome.FAILED and api.live is not None
    match status:
        case Status.DELETING:
            return f"finishing the requests of {_replicas(len(replicas))}" if replicas else "removing"
        case Status.IDLE:
            return _idle(observation)
        case Status.FAILED if api.live is None:
            return _first_line(api.message)
        case Status.LIVE if fallen_back:
            return f"{_first_line(api.message)} Revision {api.target.revision} goes on serving."
        case Status.LIVE:
            return _warning(replicas)
        case Status.DEGRADED if not api.replicas and observation.scaling:
            failure = observation.start_failure
            why = failure.message if failure else f"there is no capacity: {observation.scaling.message}"
            return f"{_held(observation.held)} for a replica, but {why}"
        case Status.CREATING if observation.held:
            return _waking(observation.held, what_happens(api, replicas))
        case _:
            return what_happens(api, replicas)


def _warning(replicas: Sequence[Replica]) -> str:
    """Return the fault of a ready replica: it could not be started again, or its event loop is blocked.

    Empty if there is none.
    """
    faulty = (
        each
        for each in replicas
        if each.status.reason is Reason.ORDER
        or (each.status.reason is Reason.UNRESPONSIVE and each.status.phase is Phase.READY)
    )
    return next((f"Replica {each.id}: {each.status.message}" for each in faulty), "")


def _idle(observation: ApiObservation) -> str:
    if observation.held:
        return _waking(observation.held, "")
    asked, failure = observation.asked, observation.start_failure
    idle = f"Idle: no requests since {_minute(asked)}." if asked else "Idle."
    if failure is None:
        return f"{idle} The next request starts a replica."
    failed = f"The last start failed at {_minute(failure.at)}: {failure.message.rstrip('. ')}."
    return f"{idle} {failed} The next request tries again."


def _minute(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _held(held: int) -> str:
    return "1 held request waits" if held == 1 else f"{held} held requests wait"


def _waking(held: int, doing: str) -> str:
    requests = "1 held request" if held == 1 else f"{held} held requests"
    more = "" if doing in ("", *_WHAT_THEY_DO.values(), NONE_YET) else f": {doing}"
    return f"starting for {requests}{more}"


def what_happens(api: Api, replicas: Sequence[Replica]) -> str:
    """Return the worst fault among the replicas, the target's before others, or else what they are doing."""
    return what_becomes(api.target.number, replicas)


def what_becomes(generation: int, replicas: Sequence[Replica]) -> str:
    """Return the same for this generation."""
    own = [replica.status for replica in replicas if replica.generation == generation]
    others = [replica.status for replica in replicas if replica.generation != generation]
    failing = _first_failing(own) or _first_failing(others)
    if failing:
        return _fault(failing)
    # Missing capacity explains more than the number of replicas that start first.
    waiting = [status for status in own if status.reason is Reason.CAPACITY]
    for doing in (waiting, *([status for status in own if status.phase is phase] for phase in BECOMING)):
        if doing:
            number = "" if len(doing) == 1 else f"{len(doing)} replicas: "
            return number + (doing[0].message or _WHAT_THEY_DO[doing[0].phase])
    if any(status.phase is Phase.READY for status in own):
        return "moving requests to the new replicas" if others else "waiting for the gateway"
    return NONE_YET


def start_fault(generation: int, replicas: Iterable[Replica]) -> str:
    """Return the reason why replicas of this generation do not start. Returns "" if none is known."""
    own = [replica.status for replica in replicas if replica.generation == generation]
    if failing := _first_failing(own):
        return _fault(failing)
    return next((status.message for status in own if status.reason is Reason.CAPACITY), "")


def _fault(failing: ReplicaStatus) -> str:
    reason = failing.reason or failing.phase
    return f"{reason}: {failing.message}" if failing.message else str(reason)


def count(api: Api, replicas: Iterable[Replica]) -> ReplicaCounts:
    ready = Counter(replica.generation for replica in replicas if replica.status.phase is Phase.READY)
    return ReplicaCounts(requested=api.replicas, ready=ready.total(), up_to_date=ready[api.target.number])


def revision_views(
    api: Api, revisions: Iterable[Revision], rollouts: Sequence[Rollout]
) -> tuple[RevisionView, ...]:
    """Return an API's history, newest first. Both arguments are newest first too."""
    return tuple(
        RevisionView(
            number=revision.number,
            digest=revision.digest,
            created_at=rfc3339(revision.created_at),
            package=revision.package,
            live=api.live is not None and api.live.revision == revision.number,
            rollouts=tuple(rollout_view(r) for r in rollouts if r.generation.revision == revision.number),
            fault=revision.fault,
        )
        for revision in revisions
    )


def deployed(api: Api, spec: StoredSpec, gateway: str, *, changed: bool) -> Deployed:
    """Return the effect of a user's act on an API."""
    return Deployed(
        name=api.name,
        revision=api.target.revision,
        generation=api.target.number,
        changed=changed,
        endpoint=endpoint(spec, gateway),
    )


def rollout_view(rollout: Rollout) -> RolloutView:
    return RolloutView(
        generation=rollout.generation.number,
        revision=rollout.generation.revision,
        cause=rollout.generation.cause,
        outcome=rollout.outcome,
        message=rollout.message,
        started_at=rfc3339(rollout.generation.started_at),
        started_by=rollout.generation.started_by,
        finished_at=rfc3339(rollout.finished_at) if rollout.finished_at else None,
    )


def endpoint(spec: StoredSpec, gateway: str) -> str:
    return gateway.rstrip("/") + spec.endpoint_path


def _replica_view(replica: Replica, api: Api, acknowledged: frozenset[str]) -> ReplicaView:
    return ReplicaView(
        status=replica.status,
        generation=replica.generation,
        up_to_date=replica.generation == api.target.number,
        routed=not acknowledged.isdisjoint(replica.status.endpoints),
    )


def pool_views(board: Board, api: str) -> tuple[PoolView, ...]:
    """Return the pools of an API's route, the newest generation first."""
    route, traffic = board.routes.get(api), board.traffic.get(api, Traffic())
    return tuple(
        PoolView(
            generation=share.pool.generation,
            revision=share.pool.revision,
            share=share.weight / TOTAL_WEIGHT,
            in_flight=measured.in_flight,
            traffic=measured.view,
        )
        for share in (route.shares if route else ())
        for measured in (traffic.pools.get(share.pool.id, PoolTraffic()),)
    )


def event_views(events: Iterable[Event]) -> tuple[EventView, ...]:
    return tuple(_event_view(event) for event in events)


def _event_view(event: Event) -> EventView:
    return EventView(
        time=rfc3339(event.time),
        api=event.api,
        type=event.type,
        reason=event.reason,
        message=event.message,
        replica=event.replica,
        id=event.id or 0,
        count=event.count,
        first_time=rfc3339(event.first_time) if event.first_time else None,
    )


def _first_failing(statuses: Iterable[ReplicaStatus]) -> ReplicaStatus | None:
    failing = [status for status in statuses if status.phase in FAILING]
    return min(failing, key=lambda status: FAILING.index(status.phase), default=None)


def _first_line(message: str) -> str:
    return message.partition("\n")[0]


def _replicas(number: int) -> str:
    return "1 replica" if number == 1 else f"{number} replicas"
