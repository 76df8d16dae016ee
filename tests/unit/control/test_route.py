"""Where requests go, and what stands in while there is no replica."""

from __future__ import annotations

import pytest

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase
from gyrus.control.plan import plan
from gyrus.control.route import route
from gyrus.control.situation import Situation
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Replica, Route
from gyrus.state.records import Api
from support.world import NOW, api, replica, spec

ACTIVATOR = "unix:/run/activator.sock"


PLAIN = spec()


def situation(*replicas: Replica, of: Api | None = None, spec: RealtimeSpec = PLAIN) -> Situation:
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
    told = route(situation(spec=grpc), frozenset())
    assert told.endpoints == frozenset()
    assert told.queueing is None


def test_deleted_api_is_not_routed_to_the_activator() -> None:
    assert plan(situation(of=api(live=1, outcome=Outcome.DONE, deleting=True)), NOW).route is None


def test_gate_is_told_what_it_goes_by() -> None:
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
        (Outcome.FAILED, None, [Phase.FAILED, Phase.BACKOFF], False),
        (Outcome.FAILED, None, [], False),
        (Outcome.FAILED, 1, [Phase.FAILED], False),
        (Outcome.PROGRESSING, None, [Phase.FAILED], False),
    ],
)
def test_only_what_can_never_start_is_hopeless(
    outcome: Outcome, live: int | None, phases: list[Phase], given_up: bool
) -> None:
    failed = api(live=live, outcome=outcome, message="ImportError: no module.\nTraceback")
    replicas = [replica(f"r{number}", phase=phase) for number, phase in enumerate(phases)]
    queueing = route(situation(*replicas, of=failed), frozenset()).queueing
    assert queueing is not None
    assert queueing.unavailable_reason == ("ImportError: no module." if given_up else "")
