"""Where requests go, and what stands in while there is no replica."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase
from gyrus.control.plan import plan
from gyrus.control.route import route, weigh
from gyrus.control.situation import Situation
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import TOTAL_WEIGHT, Pool, Replica, Route
from gyrus.state.records import Api
from support.world import NOW, api, replica, spec

ACTIVATOR = "unix:/run/activator.sock"


PLAIN = spec()


def situation(
    *replicas: Replica, of: Api | None = None, spec: RealtimeSpec = PLAIN
) -> Situation[RealtimeSpec]:
    return Situation(
        api=of or api(live=1, outcome=Outcome.DONE),
        target_spec=spec,
        live_spec=spec,
        replicas=replicas,
        retiring=frozenset(),
        acknowledged={},
        reachable=frozenset(),
        activator=ACTIVATOR,
    )


def routed(*replicas: Replica, retiring: frozenset[str] = frozenset()) -> Route:
    return route(situation(*replicas), retiring)


def test_activator_stands_in_exactly_while_no_process_is_ready() -> None:
    assert routed().endpoints == {ACTIVATOR}
    assert routed(replica("r1", phase=Phase.STARTING)).endpoints == {ACTIVATOR}
    ready = routed(replica("r1"), replica("r2", phase=Phase.BACKOFF))
    assert ready.endpoints == ready.replicas == {"unix:/run/r1.0.sock"}
    assert routed(replica("r1"), retiring=frozenset({"r1"})).endpoints == {ACTIVATOR}
    assert routed().replicas == frozenset()


def test_nothing_stands_in_for_what_speaks_http2() -> None:
    grpc = RealtimeSpec.model_validate(
        {"name": "iris", "process": {"command": ["serve"], "protocol": "http2"}, "max_concurrency": None}
    )
    reported = route(situation(spec=grpc), frozenset())
    assert reported.endpoints == frozenset()
    assert reported.queueing is None


def test_deleted_api_is_not_routed_to_the_activator() -> None:
    assert plan(situation(of=api(live=1, outcome=Outcome.DONE, deleting=True)), NOW).route is None


def test_the_gate_gets_what_it_needs() -> None:
    queueing = route(
        situation(spec=spec(max_concurrency=3, max_queue_length=7, max_hold="2s")), frozenset()
    ).queueing
    assert queueing is not None
    assert (queueing.slots, queueing.longest_queue, queueing.hold) == (3, 7, 2.0)
    assert (queueing.replicas, queueing.generation, queueing.unavailable_reason) == (1, 1, "")


@pytest.mark.parametrize(
    ("outcome", "live", "phases", "given_up"),
    [
        (Outcome.FAILED, None, [Phase.FAILED, Phase.FAILED], True),
        (Outcome.FAILED, None, [Phase.FAILED, Phase.BACKOFF], True),
        (Outcome.FAILED, None, [Phase.UNREADY], True),
        (Outcome.FAILED, None, [Phase.BACKOFF, Phase.STARTING], False),
        (Outcome.FAILED, None, [], False),
        (Outcome.FAILED, 1, [Phase.BACKOFF], False),
        (Outcome.PROGRESSING, None, [Phase.FAILED], False),
    ],
)
def test_only_what_has_failed_is_unavailable(
    outcome: Outcome, live: int | None, phases: list[Phase], given_up: bool
) -> None:
    failed = api(live=live, outcome=outcome, message="ImportError: no module.\nTraceback")
    replicas = [replica(f"r{number}", phase=phase) for number, phase in enumerate(phases)]
    queueing = route(situation(*replicas, of=failed), frozenset()).queueing
    assert queueing is not None
    assert queueing.unavailable_reason == ("ImportError: no module." if given_up else "")


def test_another_attempt_of_a_failed_replica_is_is_unavailable_too() -> None:
    """Otherwise it would depend on the moment whether a request is refused or waits in vain."""
    failed = api(live=None, outcome=Outcome.FAILED, message="InitFailure.")
    again = replica("r1", phase=Phase.STARTING, restarts=3)
    queueing = route(situation(again, of=failed), frozenset()).queueing
    assert queueing is not None
    assert queueing.unavailable_reason == "InitFailure."


def of_generation(id: str, generation: int, phase: Phase = Phase.READY, **changes: Any) -> Replica:
    return replica(id, generation, phase, **changes)


def rolling(
    *replicas: Replica, target: int = 2, retiring: frozenset[str] = frozenset(), **changes: Any
) -> Route:
    """The route of an update from generation 1 to ``target``."""
    of = api(target=target, live=1, outcome=Outcome.PROGRESSING)
    return route(replace(situation(*replicas, of=of), **changes), retiring)


def weights(route: Route) -> dict[str, int]:
    return {share.pool.id: share.weight for share in route.shares}


def pool(route: Route, id: str) -> Pool:
    return next(pool for pool in route.pools if pool.id == id)


def test_an_update_has_two_pools_the_newest_first_and_weights_by_their_replicas() -> None:
    reported = rolling(replica("r1"), replica("r2"), replica("r3"), of_generation("n1", 2))
    assert [(each.generation, each.revision) for each in reported.pools] == [(2, 2), (1, 1)]
    assert pool(reported, "iris/2").replicas == {"unix:/run/n1.0.sock"}
    assert weights(reported) == {"iris/2": 2500, "iris/1": 7500}


def test_weights_are_by_slots_where_all_have_some() -> None:
    replicas = replica("r1"), of_generation("n1", 2)
    one, three = spec(max_concurrency=1), spec(max_concurrency=3)
    assert weights(rolling(*replicas, live_spec=one, target_spec=three)) == {"iris/2": 7500, "iris/1": 2500}
    unlimited = spec(max_concurrency=None)
    assert weights(rolling(*replicas, live_spec=one, target_spec=unlimited)) == {
        "iris/2": 5000,
        "iris/1": 5000,
    }


def test_slots_are_shared_by_a_replica_s_processes() -> None:
    handler = {"path": "handler.py", "processes": 2}
    endpoints = ("unix:/run/n1.0.sock", "unix:/run/n1.1.sock")
    new = of_generation("n1", 2, endpoints=endpoints)
    reported = rolling(
        replica("r1"),
        new,
        live_spec=spec(max_concurrency=2),
        target_spec=spec(handler=handler, max_concurrency=2),
    )
    assert weights(reported) == {"iris/2": 5000, "iris/1": 5000}


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 5000), min_size=1))
def test_weights_add_up_and_none_is_nothing(capacities: dict[int, int]) -> None:
    found = weigh(capacities)
    assert sum(found.values()) == TOTAL_WEIGHT
    assert min(found.values()) >= 1
    total = sum(capacities.values())
    for generation, capacity in capacities.items():
        assert abs(found[generation] - TOTAL_WEIGHT * capacity / total) <= len(capacities)


def test_pool_of_the_target_is_there_before_its_first_replica_and_gets_nothing() -> None:
    reported = rolling(replica("r1"), of_generation("n1", 2, Phase.STARTING))
    assert weights(reported) == {"iris/2": 0, "iris/1": 10_000}
    assert pool(reported, "iris/2").endpoints == {"unix:/run/r1.0.sock"}


def test_pool_whose_last_replica_leaves_falls_back_to_the_others() -> None:
    replicas = replica("r1"), of_generation("n1", 2)
    reported = rolling(*replicas, retiring=frozenset({"r1"}))
    assert weights(reported) == {"iris/2": 10_000, "iris/1": 0}
    assert pool(reported, "iris/1").endpoints == {"unix:/run/n1.0.sock"}
    assert pool(reported, "iris/1").replicas == frozenset()
    drained = rolling(replica("r1", phase=Phase.DRAINING), of_generation("n1", 2))
    assert pool(drained, "iris/1").endpoints == {"unix:/run/n1.0.sock"}
    gone = rolling(of_generation("n1", 2))
    assert [each.id for each in gone.pools] == ["iris/2"]


def test_activator_stands_in_for_every_pool_where_none_has_a_replica() -> None:
    reported = rolling(replica("r1", phase=Phase.BACKOFF), of_generation("n1", 2, Phase.STARTING))
    assert weights(reported) == {"iris/2": 10_000, "iris/1": 0}
    assert {each.endpoints for each in reported.pools} == {frozenset({ACTIVATOR})}


def test_pools_speak_their_own_protocol_and_do_not_stand_in_for_others() -> None:
    grpc = RealtimeSpec.model_validate(
        {"name": "iris", "process": {"command": ["serve"], "protocol": "http2"}, "max_concurrency": None}
    )
    replicas = replica("r1", phase=Phase.DRAINING), of_generation("n1", 2)
    reported = rolling(*replicas, target_spec=grpc)
    assert [each.protocol for each in reported.pools] == ["http2", "http1"]
    assert pool(reported, "iris/1").endpoints == {ACTIVATOR}


def test_pool_without_replicas_has_the_bridge_to_those_of_the_other_protocol() -> None:
    grpc = RealtimeSpec.model_validate(
        {"name": "iris", "process": {"command": ["serve"], "protocol": "http2"}, "max_concurrency": None}
    )
    bridge = "unix:/run/bridge.sock"

    def endpoints(old: Phase, new: Phase) -> list[frozenset[str]]:
        replicas = replica("r1", phase=old), of_generation("n1", 2, new)
        updating = api(target=2, live=1)
        at = replace(situation(*replicas, of=updating, spec=grpc), live_spec=PLAIN, bridge=bridge)
        return [each.endpoints for each in route(at, frozenset()).pools]

    old, new = frozenset({"unix:/run/r1.0.sock"}), frozenset({"unix:/run/n1.0.sock"})
    assert endpoints(Phase.READY, Phase.READY) == [new, old]
    assert endpoints(Phase.DRAINING, Phase.READY) == [new, {bridge}]
    assert endpoints(Phase.READY, Phase.STARTING) == [{bridge}, old]
    assert endpoints(Phase.DRAINING, Phase.STARTING) == [frozenset(), {ACTIVATOR}]


def test_gate_holds_requests_of_the_old_protocol_by_the_old_policy() -> None:
    grpc = RealtimeSpec.model_validate(
        {"name": "iris", "process": {"command": ["serve"], "protocol": "http2"}, "max_concurrency": None}
    )
    replicas = replica("r1", phase=Phase.DRAINING), of_generation("n1", 2)
    at = replace(situation(*replicas, of=api(target=2, live=1), spec=grpc), live_spec=spec(max_concurrency=7))
    queueing = route(at, frozenset()).queueing
    assert queueing
    assert queueing.slots == 7


def test_a_replica_of_neither_target_nor_live_has_its_own_specification() -> None:
    superseded = spec(max_concurrency=7)
    reported = rolling(replica("r1"), of_generation("n2", 2), target=3, specs={2: superseded})
    queueing = pool(reported, "iris/2").queueing
    assert queueing
    assert queueing.slots == 7
    assert [each.generation for each in reported.pools] == [3, 2, 1]


def test_only_servers_without_the_runtime_in_front_are_not_believed() -> None:
    process = {"name": "iris", "process": {"command": ["serve"]}}
    direct = RealtimeSpec.model_validate({**process, "max_concurrency": None})
    proxied = RealtimeSpec.model_validate({**process, "max_concurrency": 2})

    def runtime_answers(of: RealtimeSpec) -> set[bool]:
        return {pool.runtime_answers for pool in route(situation(replica("r1"), spec=of), frozenset()).pools}

    assert (runtime_answers(PLAIN), runtime_answers(proxied), runtime_answers(direct)) == (
        {True},
        {True},
        {False},
    )
