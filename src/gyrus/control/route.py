"""The route of an API's requests: its pools, and their shares of new requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase
from gyrus.control.situation import Situation
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import TOTAL_WEIGHT, Endpoints, Pool, QueuePolicy, Route, WeightedPool

Capacity = float


def route(situation: Situation, retiring: frozenset[str]) -> Route:
    """The API's route. Path and timeout are those of the live revision until its successor's rollout is
    done."""
    spec = situation.live_spec or situation.target_spec
    pools = _with_fallbacks(_pools(situation, retiring), situation.activator)
    return Route(
        api=situation.api.name,
        path=spec.endpoint_path,
        shares=_shares(pools, situation.api.target.number),
        timeout=spec.timeout.total_seconds(),
        idempotent=spec.idempotent,
    )


def _pools(situation: Situation, retiring: frozenset[str]) -> tuple[Pool, ...]:
    """One for the target, and one for each other generation that has a replica left, even one that
    drains: what it requeues is sent again in its pool. The newest comes first."""
    api = situation.api
    revisions = {replica.generation: replica.status.revision for replica in situation.replicas}
    specs = {replica.generation: situation.spec_of(replica) for replica in situation.replicas}
    revisions[api.target.number] = api.target.revision
    specs[api.target.number] = situation.target_spec
    return tuple(
        Pool(
            api=api.name,
            generation=number,
            revision=revisions[number],
            replicas=_ready(situation, number, retiring),
            protocol=_protocol(specs[number]),
            queueing=_queueing(situation, specs[number]),
        )
        for number in sorted(revisions, reverse=True)
    )


def _ready(situation: Situation, generation: int, retiring: frozenset[str]) -> Endpoints:
    """Every ready process of this generation that is not retiring."""
    return frozenset(
        endpoint
        for replica in situation.replicas
        if replica.generation == generation
        and replica.id not in retiring
        and replica.status.phase is Phase.READY
        for endpoint in replica.status.endpoints
    )


def _with_fallbacks(pools: tuple[Pool, ...], activator: str | None) -> tuple[Pool, ...]:
    """Pools without replicas use those of the others that speak alike. Where no pool has any, the activator
    stands in. It leaves with the same push that brings the first replica."""
    ready: dict[str, Endpoints] = {}
    for pool in pools:
        ready[pool.protocol] = ready.get(pool.protocol, frozenset()) | pool.replicas
    held = frozenset({activator} if activator else ())
    stand_ins = {"http1": ready.get("http1") or held, "http2": ready.get("http2", frozenset())}
    return tuple(
        pool if pool.replicas else replace(pool, fallback=stand_ins[pool.protocol]) for pool in pools
    )


def _shares(pools: tuple[Pool, ...], target: int) -> tuple[WeightedPool, ...]:
    """New requests go to pools with replicas, by their capacity; where there are none, to the target's
    pool."""
    capacities = _capacities(pools) or {target: 1.0}
    weights = weigh(capacities)
    return tuple(WeightedPool(pool=pool, weight=weights.get(pool.generation, 0)) for pool in pools)


def _capacities(pools: tuple[Pool, ...]) -> dict[int, Capacity]:
    """By generation, of pools with replicas: the requests that they work on at the same time. Where one of
    them has no limit, processes are counted instead."""
    ready = [pool for pool in pools if pool.replicas]
    limited = all(pool.queueing and pool.queueing.slots for pool in ready)
    return {pool.generation: len(pool.replicas) * (_slots(pool) if limited else 1.0) for pool in ready}


def _slots(pool: Pool) -> float:
    """The slots of one process."""
    queueing = pool.queueing
    return (queueing.slots or 1) / queueing.processes if queueing else 1.0


def weigh(capacities: Mapping[int, Capacity]) -> dict[int, int]:
    """Weights that are as the capacities and add up to TOTAL_WEIGHT. None is 0.

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


def _protocol(spec: RealtimeSpec) -> Literal["http1", "http2"]:
    return spec.process.protocol if spec.process else "http1"


def _queueing(situation: Situation, spec: RealtimeSpec) -> QueuePolicy | None:
    if _protocol(spec) != "http1":
        return None
    return QueuePolicy(
        slots=spec.slots,
        longest_queue=spec.max_queue_length,
        processes=spec.handler.processes if spec.handler else 1,
        replicas=situation.api.replicas,
        hold=spec.hold.total_seconds(),
        generation=situation.api.target.number,
        unavailable_reason=_unavailable_reason(situation),
    )


def _unavailable_reason(situation: Situation) -> str:
    """The reason why no replica of the target will ever be ready: none can be started, or the rollout has
    failed, nothing was live before it, and no replica tries again."""
    api = situation.api
    if situation.fault and not situation.kept:
        return situation.fault
    if api.outcome is not Outcome.FAILED or api.live is not None or not situation.current:
        return ""
    given_up = all(replica.status.phase is Phase.FAILED for replica in situation.current)
    return api.message.partition("\n")[0] if given_up else ""
