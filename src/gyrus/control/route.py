"""The route of an API's requests: its pools, and their shares of new requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import BECOMING, FAILING, Phase, ReplicaStatus
from gyrus.control.situation import Situation
from gyrus.control.verdict import ATTEMPTS, SLOW_REASONS
from gyrus.spec.replicated import Serving, ServingSpec
from gyrus.state.board import TOTAL_WEIGHT, Endpoints, Pool, QueuePolicy, Replica, Route, WeightedPool

Capacity = float


def route(situation: Situation[ServingSpec], retiring: frozenset[str]) -> Route:
    """Build the API's route.

    Path and timeout are those of the live revision until the rollout of the target is done.
    """
    live = situation.live_spec
    spec = live if isinstance(live, ServingSpec) else situation.target_spec
    pools = _with_fallbacks(_pools(situation, retiring), situation.activator, situation.bridge)
    return Route(
        api=situation.api.name,
        path=spec.endpoint_path,
        shares=_shares(pools, situation.api.target.number),
        timeout=spec.serving.timeout.total_seconds(),
        idempotent=spec.serving.idempotent,
        max_body=spec.serving.max_body,
        cors=spec.serving.cors,
    )


def _pools(situation: Situation[ServingSpec], retiring: frozenset[str]) -> tuple[Pool, ...]:
    """Build a pool for the target, and one for each other generation that has a replica left, newest first.

    A draining replica counts, since Envoy retries the requests that it requeues within its pool.
    """
    api = situation.api
    revisions = {replica.generation: replica.status.revision for replica in situation.replicas}
    serving = {replica.generation: _serving(situation, replica) for replica in situation.replicas}
    revisions[api.target.number] = api.target.revision
    serving[api.target.number] = situation.target_spec.serving
    return tuple(
        Pool(
            api=api.name,
            generation=number,
            revision=revisions[number],
            replicas=_ready(situation, number, retiring),
            protocol=serving[number].protocol,
            runtime_answers=serving[number].runtime_answers,
            queueing=_queueing(situation, serving[number]),
        )
        for number in sorted(revisions, reverse=True)
    )


def _serving(situation: Situation[ServingSpec], replica: Replica) -> Serving:
    """Return how requests reach this replica. A replica of a kind that serves none is in the route too.

    It may be left from before a change of the kind, and has no ready endpoint.
    """
    spec = situation.spec_of(replica)
    return spec.serving if isinstance(spec, ServingSpec) else situation.target_spec.serving


def _ready(situation: Situation, generation: int, retiring: frozenset[str]) -> Endpoints:
    """Return the endpoints of all ready processes of this generation that are not retiring."""
    return frozenset(
        endpoint
        for replica in situation.replicas
        if replica.generation == generation
        and replica.id not in retiring
        and replica.status.phase is Phase.READY
        for endpoint in replica.status.endpoints
    )


def _with_fallbacks(pools: tuple[Pool, ...], activator: str | None, bridge: str | None) -> tuple[Pool, ...]:
    """Give pools without replicas a fallback: the replicas of other pools with the same protocol.

    If only pools of the other protocol have replicas, the fallback is the gateway's bridge to them. If no
    pool has a replica, the fallback is the activator. The same configuration push that adds the first replica
    removes the activator, so that no request finds a pool empty. The activator serves HTTP/1 only.
    """
    ready: dict[str, Endpoints] = {}
    without_runtime = {pool.protocol for pool in pools if pool.replicas and not pool.runtime_answers}
    for pool in pools:
        ready[pool.protocol] = ready.get(pool.protocol, frozenset()) | pool.replicas
    bridged = _only(bridge) if any(ready.values()) else frozenset[str]()
    stand_ins = {
        "http1": ready.get("http1") or bridged or _only(activator),
        "http2": ready.get("http2") or bridged,
    }
    return tuple(
        pool
        if pool.replicas
        else replace(
            pool,
            fallback=stand_ins[pool.protocol],
            runtime_answers=pool.runtime_answers and pool.protocol not in without_runtime,
        )
        for pool in pools
    )


def _only(endpoint: str | None) -> Endpoints:
    return frozenset({endpoint} if endpoint else ())


def _shares(pools: tuple[Pool, ...], target: int) -> tuple[WeightedPool, ...]:
    """Divide new requests among the pools with replicas, by capacity.

    If no pool has replicas, the target's pool receives all new requests.
    """
    capacities = _capacities(pools) or {target: 1.0}
    weights = weigh(capacities)
    return tuple(WeightedPool(pool=pool, weight=weights.get(pool.generation, 0)) for pool in pools)


def _capacities(pools: tuple[Pool, ...]) -> dict[int, Capacity]:
    """Return, by generation, the requests that pools with replicas process at the same time.

    If one of these pools has no limit, processes are counted instead.
    """
    ready = [pool for pool in pools if pool.replicas]
    limited = all(pool.queueing and pool.queueing.slots for pool in ready)
    return {pool.generation: len(pool.replicas) * (_slots(pool) if limited else 1.0) for pool in ready}


def _slots(pool: Pool) -> float:
    """Return the slots of one process."""
    queueing = pool.queueing
    return (queueing.slots or 1) / queueing.processes if queueing else 1.0


def weigh(capacities: Mapping[int, Capacity]) -> dict[int, int]:
    """Return weights in proportion to the capacities. They add up to TOTAL_WEIGHT, and none is 0.

    >>> weigh({3: 1, 2: 2})
    {3: 3334, 2: 6666}
    """
    total = sum(capacities.values())
    weights = {
        generation: max(1, int(capacity * TOTAL_WEIGHT / total))
        for generation, capacity in capacities.items()
    }
    largest = max(weights, key=lambda generation: weights[generation])
    rest = TOTAL_WEIGHT - sum(weights.values())
    return {**weights, largest: weights[largest] + rest}


def _queueing(situation: Situation, serving: Serving) -> QueuePolicy | None:
    if serving.protocol != "http1":
        return None
    return QueuePolicy(
        slots=serving.slots,
        longest_queue=serving.longest_queue,
        processes=serving.processes,
        replicas=situation.api.replicas,
        hold=serving.hold.total_seconds(),
        generation=situation.api.target.number,
        unavailable_reason=_unavailable_reason(situation),
    )


def _unavailable_reason(situation: Situation) -> str:
    """Return the reason why a request should not wait for a replica. Returns an empty text if it should.

    Either no replica can be started, or each one fails again and again. They start again at growing
    intervals, for which no request should wait.
    """
    if situation.fault and not situation.kept:
        return situation.fault
    return _failed_at_first(situation) if situation.api.live is None else _failing_again(situation)


def _failed_at_first(situation: Situation) -> str:
    """Return the reason why the first rollout has failed, if every replica has failed too."""
    api = situation.api
    if api.outcome is not Outcome.FAILED or not situation.current:
        return ""
    failed = all(_has_failed(replica.status) for replica in situation.current)
    return api.message.partition("\n")[0] if failed else ""


def _failing_again(situation: Situation) -> str:
    """Return the reason why no replica of a live API stays up. Returns an empty text if one may.

    A replica may come up if it is one that control has yet to start, as at the end of an idle time, or one of
    an update that is under way.
    """
    kept = situation.kept
    if not kept or len(kept) < situation.api.replicas or situation.superseding:
        return ""
    if not all(is_failing_again(replica.status) for replica in kept):
        return ""
    status = max((replica.status for replica in kept), key=lambda status: status.failures)
    cause = status.last_lines[-1] if status.last_lines else status.message
    reason = f" ({status.reason})" if status.reason else ""
    return f"Replica {status.id} has failed {max(1, status.failures)} times in a row{reason}: {cause}"


def is_failing_again(status: ReplicaStatus) -> bool:
    """Return True for a replica that no request should wait for, although it was ready once.

    A worker that a request has taken down is usually back at once, and one request takes down two workers at
    most.
    """
    if status.phase is Phase.FAILED:
        return True
    slow = status.phase is Phase.BACKOFF and status.reason in SLOW_REASONS
    return slow or (status.failures >= ATTEMPTS and status.phase in (Phase.BACKOFF, *BECOMING))


def _has_failed(status: ReplicaStatus) -> bool:
    """Return True for a replica that has never been ready since its last failure.

    Its first start may succeed, as after a restart of the platform. A later one is an attempt to start again.
    """
    return status.phase in FAILING or (status.phase in BECOMING and status.restarts > 0)
