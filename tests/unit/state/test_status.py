from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.operator import (
    Cause,
    ForkServerView,
    Outcome,
    ScalingView,
    StartupTimes,
    Status,
    TrafficView,
)
from gyrus.contract.replica import Phase, Reason, ReplicaStatus, StartKind
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.stored import UnreadableSpec
from gyrus.state import status, transitions
from gyrus.state.board import Board, PoolTraffic, Replica, RouteRefusal, StartFailure, Traffic
from gyrus.state.records import Api, Event, Generation, Revision, Rollout
from gyrus.state.status import ApiObservation
from support.routes import pools_of, route_to

START = datetime(2030, 1, 1, tzinfo=UTC)
SPEC = RealtimeSpec.model_validate({"name": "iris", "handler": {"path": "handler.py"}})
GATEWAY = "http://127.0.0.1:8080"
FIRST = Generation(number=1, revision=1, cause=Cause.DEPLOY, started_at=START)
SECOND = Generation(number=2, revision=2, cause=Cause.DEPLOY, started_at=START)
CREATING = transitions.create(SPEC, START)
LIVE = replace(CREATING, outcome=Outcome.DONE, live=FIRST)
UPDATING = replace(LIVE, outcome=Outcome.PROGRESSING, target=SECOND)
FALLEN_BACK = replace(
    LIVE,
    outcome=Outcome.FAILED,
    message="Revision 2 did not become ready (InitFailure): no.\nTraceback\n  no",
)
FAILED = replace(CREATING, outcome=Outcome.FAILED, message="Revision 1 did not become ready: no.\nTraceback")


def replica(
    phase: Phase = Phase.READY,
    generation: int = 1,
    message: str = "",
    reason: Reason | None = None,
    n: int = 0,
) -> Replica:
    name = f"iris-{generation}-{phase}{n}"
    endpoints = (f"unix:/run/{name}.0.sock",) if phase is Phase.READY else ()
    status = ReplicaStatus(
        id=name,
        api="iris",
        revision=generation,
        phase=phase,
        message=message,
        reason=reason,
        endpoints=endpoints,
    )
    return Replica(status=status, generation=generation)


def seen(api: Api, *replicas: Replica) -> tuple[Status, str]:
    """(status, message)"""
    revision = transitions.snapshot(SPEC, api.target.revision, None, START)
    shown = status.view(api, revision, ApiObservation(replicas=replicas), GATEWAY)
    return shown.status, shown.message


def unreadable(number: int) -> Revision:
    broken = UnreadableSpec(
        reason="warp: unknown field", endpoint_path="/models/iris", document={"name": "iris", "warp": 9}
    )
    return replace(transitions.snapshot(SPEC, number, None, START), spec=broken)


BACKOFF = replica(Phase.BACKOFF, message="exited with code 3", reason=Reason.EXITED)
BUILDING = replica(Phase.BUILDING, message="building environment: numpy")


WAITING = replica(Phase.PENDING, message="needs 2 GPUs", reason=Reason.UNSCHEDULABLE)


class TestStatus:
    @pytest.mark.parametrize(
        ("api", "replicas", "status"),
        [
            (CREATING, (), Status.CREATING),
            (CREATING, (replica(),), Status.CREATING),
            (CREATING, (BACKOFF,), Status.CREATING),
            (UPDATING, (replica(),), Status.UPDATING),
            (LIVE, (replica(),), Status.LIVE),
            (LIVE, (replica(), replica(n=1)), Status.LIVE),
            (replace(LIVE, replicas=0), (replica(),), Status.LIVE),
            (replace(LIVE, replicas=0), (), Status.IDLE),
            (replace(LIVE, replicas=2), (replica(),), Status.DEGRADED),
            (replace(LIVE, replicas=2), (replica(), BACKOFF), Status.DEGRADED),
            (LIVE, (), Status.CREATING),
            (LIVE, (BUILDING,), Status.CREATING),
            (replace(LIVE, replicas=2), (replica(), BUILDING), Status.LIVE),
            (replace(LIVE, replicas=3), (replica(), BUILDING), Status.DEGRADED),
            (replace(LIVE, replicas=2), (replica(), WAITING), Status.DEGRADED),
            (LIVE, (replica(Phase.UNREADY),), Status.DEGRADED),
            (LIVE, (BACKOFF,), Status.FAILED),
            (LIVE, (replica(Phase.FAILED),), Status.FAILED),
            (LIVE, (replica(Phase.DRAINING),), Status.DEGRADED),
            (FALLEN_BACK, (replica(),), Status.LIVE),
            (FALLEN_BACK, (BACKOFF,), Status.FAILED),
            (FAILED, (), Status.FAILED),
            (FAILED, (BUILDING,), Status.FAILED),
        ],
    )
    def test_status(self, api: Api, replicas: tuple[Replica, ...], status: Status) -> None:
        assert seen(api, *replicas)[0] is status
        assert seen(replace(api, deleting=True), *replicas)[0] is Status.DELETING


class TestMessage:
    def test_a_live_one_has_no_message(self) -> None:
        assert seen(LIVE, replica()) == (Status.LIVE, "")

    def test_a_live_one_reports_that_its_update_failed(self) -> None:
        _, message = seen(FALLEN_BACK, replica())
        assert message == ("Revision 2 did not become ready (InitFailure): no. Revision 1 goes on serving.")

    def test_a_failed_one_shows_its_rollouts_first_line(self) -> None:
        assert seen(FAILED, BACKOFF)[1] == "Revision 1 did not become ready: no."

    def test_one_whose_replicas_died_mentions_them(self) -> None:
        assert seen(LIVE, BACKOFF) == (Status.FAILED, "Exited: exited with code 3")

    def test_what_its_replicas_do(self) -> None:
        assert seen(CREATING)[1] == "waiting for a replica to start"
        assert seen(CREATING, BUILDING)[1] == "building environment: numpy"
        assert seen(CREATING, replica(Phase.STARTING))[1] == "starting"
        assert seen(CREATING, BUILDING, replica(Phase.BUILDING, n=1))[1] == (
            "2 replicas: building environment: numpy"
        )
        assert seen(CREATING, replica())[1] == "waiting for the gateway"
        assert seen(UPDATING, replica(), replica(generation=2))[1] == "moving requests to the new replicas"

    def test_what_waits_for_capacity_counts_more_than_what_waits_for_its_turn(self) -> None:
        turn = replica(Phase.PENDING, message="waiting to start (1 before it)")
        short = replica(Phase.PENDING, n=1, message="waiting for capacity: …", reason=Reason.CAPACITY)
        assert seen(CREATING, turn, short)[1] == "waiting for capacity: …"
        assert seen(CREATING, turn, short, short)[1] == "2 replicas: waiting for capacity: …"

    def test_a_fault_counts_more_than_what_the_others_do(self) -> None:
        assert seen(CREATING, BUILDING, BACKOFF)[1] == "Exited: exited with code 3"

    def test_a_fault_of_the_new_counts_more_than_one_of_the_old(self) -> None:
        new = replica(Phase.UNREADY, 2, "no answer", Reason.UNRESPONSIVE)
        assert seen(UPDATING, BACKOFF, new)[1] == "Unresponsive: no answer"

    def test_without_words_of_its_own_the_phase_is_reported(self) -> None:
        assert seen(LIVE, replica(Phase.FAILED))[1] == "failed"

    def test_a_gateway_that_is_down_is_reported(self) -> None:
        revision = transitions.snapshot(SPEC, LIVE.target.revision, None, START)
        observation = ApiObservation(replicas=(replica(),), gateway_fault="Envoy is not installed.")
        shown = status.view(LIVE, revision, observation, GATEWAY)
        assert shown.status is Status.DEGRADED
        assert shown.message == "The gateway does not run: Envoy is not installed."

    def test_a_live_api_names_a_replica_that_could_not_be_started_again(self) -> None:
        faulty = replica(reason=Reason.ORDER, message="it cannot be started again")
        shown, message = seen(LIVE, faulty)
        assert (shown, message) == (Status.LIVE, f"Replica {faulty.id}: it cannot be started again")

    def test_a_live_api_names_a_replica_whose_event_loop_is_blocked(self) -> None:
        faulty = replica(reason=Reason.UNRESPONSIVE, message="its event loop has been blocked")
        shown, message = seen(LIVE, replica(n=1), faulty)
        assert (shown, message) == (Status.LIVE, f"Replica {faulty.id}: its event loop has been blocked")

    @pytest.mark.parametrize("api", [CREATING, LIVE, UPDATING, FAILED, replace(LIVE, replicas=0)])
    def test_one_that_cannot_be_read_has_failed(self, api: Api) -> None:
        revision = unreadable(api.target.revision)
        shown = status.view(api, revision, ApiObservation(replicas=(replica(), BACKOFF)), GATEWAY)
        assert shown.status is Status.FAILED
        assert shown.message == f"{revision.fault} Its replica goes on serving."
        assert shown.endpoint == f"{GATEWAY}/models/iris"
        assert status.view(api, revision, ApiObservation(), GATEWAY).message == revision.fault
        deleting = status.view(replace(api, deleting=True), revision, ApiObservation(), GATEWAY)
        assert deleting.status is Status.DELETING

    def test_one_that_was_just_asked_to_grow_is_live(self) -> None:
        more = replace(LIVE, replicas=2)
        grown = ScalingView(time="", was=1, desired=2, replicas=2, rule="", message="")
        for scaling, expected in ((grown, Status.LIVE), (replace(grown, was=2), Status.DEGRADED)):
            observation = ApiObservation(replicas=(replica(),), scaling=scaling)
            assert status.status_of(more, status.count(more, observation.replicas), observation) is expected

    def test_one_that_requests_wake(self) -> None:
        def reported(held: int, *replicas: Replica, replicas_wanted: int = 1) -> tuple[Status, str]:
            revision = transitions.snapshot(SPEC, 1, None, START)
            api = replace(LIVE, replicas=replicas_wanted)
            shown = status.view(api, revision, ApiObservation(replicas=replicas, held=held), GATEWAY)
            return shown.status, shown.message

        assert reported(1, replicas_wanted=0) == (Status.IDLE, "starting for 1 held request")
        assert reported(3) == (Status.CREATING, "starting for 3 held requests")
        assert reported(3, replica(Phase.STARTING))[1] == "starting for 3 held requests"
        assert reported(3, BUILDING)[1] == "starting for 3 held requests: building environment: numpy"
        assert reported(3, BACKOFF) == (Status.FAILED, "Exited: exited with code 3")

    def test_one_that_requests_cannot_wake_for_want_of_capacity(self) -> None:
        idle = replace(LIVE, replicas=0)
        revision = transitions.snapshot(SPEC, 1, None, START)
        message = "desired 2, set to 0: there is room for 0 only"
        refused = ScalingView(time="", was=0, desired=2, replicas=0, rule="capacity", message=message)
        shown = status.view(idle, revision, ApiObservation(held=2, scaling=refused), GATEWAY)
        assert shown.status is Status.DEGRADED
        assert shown.message == f"2 held requests wait for a replica, but there is no capacity: {message}"
        later = status.view(idle, revision, ApiObservation(held=0, scaling=refused), GATEWAY)
        assert later.status is Status.IDLE

    def test_idle_again_it_reports_why_its_last_start_failed(self) -> None:
        idle, message = (
            replace(LIVE, replicas=0),
            "there is no capacity: needs 1 CPU, 0 of 1 free; delete other APIs",
        )
        failure = StartFailure(generation=1, message=message, at=START + timedelta(minutes=5))
        later = ApiObservation(asked=START, start_failure=failure)
        assert status.message_of(idle, Status.IDLE, later) == (
            "Idle: no requests since 2030-01-01 00:00 UTC. The last start failed at 2030-01-01 00:05 UTC: "
            f"{message}. The next request tries again."
        )
        refused = ScalingView(time="", was=0, desired=2, replicas=0, rule="capacity", message="set to 0")
        held = ApiObservation(held=2, scaling=refused, start_failure=failure)
        revision = transitions.snapshot(SPEC, 1, None, START)
        shown = status.view(idle, revision, held, GATEWAY)
        assert (shown.status, shown.message) == (
            Status.DEGRADED,
            f"2 held requests wait for a replica, but {message}",
        )

    def test_start_fault(self) -> None:
        short = replica(Phase.PENDING, message="waiting for capacity: …", reason=Reason.CAPACITY)
        assert status.start_fault(1, (replica(Phase.STARTING), short)) == "waiting for capacity: …"
        assert status.start_fault(1, (short, BACKOFF)) == "Exited: exited with code 3"
        assert status.start_fault(1, (replica(Phase.STARTING), replica(Phase.BACKOFF, 2))) == ""

    def test_idle_and_deleting(self) -> None:
        idle = replace(LIVE, replicas=0)
        assert seen(idle)[1] == "Idle. The next request starts a replica."
        asked = ApiObservation(asked=START + timedelta(hours=12, minutes=30))
        message = "Idle: no requests since 2030-01-01 12:30 UTC. The next request starts a replica."
        assert status.message_of(idle, Status.IDLE, asked) == message
        deleting = replace(LIVE, deleting=True)
        assert seen(deleting, replica(Phase.DRAINING))[1] == "finishing the requests of 1 replica"
        assert seen(deleting)[1] == "removing"


class TestView:
    def test_counts_distinguish_the_wanted_generation(self) -> None:
        replicas = (replica(), replica(n=1), replica(generation=2), replica(Phase.STARTING, 2))
        counts = status.count(replace(UPDATING, replicas=3), replicas)
        assert (counts.requested, counts.ready, counts.up_to_date) == (3, 3, 1)

    def test_the_rest(self) -> None:
        api = replace(LIVE, updated_at=START + timedelta(milliseconds=1500))
        spec = SPEC.model_copy(update={"networking": SPEC.networking.model_copy(update={"endpoint": "a/b"})})
        revision = transitions.snapshot(spec, 1, None, START)
        shown = status.view(api, revision, ApiObservation(traffic=Traffic(in_flight=4)), GATEWAY + "/")
        assert shown.endpoint == "http://127.0.0.1:8080/a/b"
        assert (shown.in_flight, shown.revision, shown.kind) == (4, 1, "RealtimeAPI")
        assert (shown.created_at, shown.updated_at) == (
            "2030-01-01T00:00:00.000Z",
            "2030-01-01T00:00:01.500Z",
        )

    def test_what_a_gateway_refuses_is_the_reason(self) -> None:
        revision = transitions.snapshot(SPEC, 1, None, START)
        refused = ApiObservation(replicas=(replica(),), refused="Envoy refuses the endpoints of iris/1: no")
        shown = status.view(LIVE, revision, refused, GATEWAY)
        assert (shown.status, shown.message) == (Status.DEGRADED, "Envoy refuses the endpoints of iris/1: no")
        updating = status.view(UPDATING, revision, refused, GATEWAY)
        assert (updating.status, updating.message) == (Status.UPDATING, shown.message)
        deleting = status.view(replace(LIVE, deleting=True), revision, refused, GATEWAY)
        assert deleting.status is Status.DELETING
        assert "refuses" not in deleting.message


class TestDescription:
    def test_it_has_everything(self) -> None:
        routed, unrouted, starting = replica(), replica(n=1), replica(Phase.STARTING, 2)
        board = Board()
        board.replicas["iris"] = (routed, unrouted, starting)
        board.acknowledged["iris"] = {"iris/1": frozenset(routed.status.endpoints)}
        board.traffic["iris"] = Traffic(in_flight=2, view=TrafficView(requests=9))
        shares = pools_of("iris", ["unix:/old"], ["unix:/new"], weights=(7500, 2500))
        board.routes["iris"] = replace(route_to("iris"), shares=shares)
        new = PoolTraffic(in_flight=1, view=TrafficView(requests=3, p50=2.0))
        board.traffic["iris"] = replace(board.traffic["iris"], pools={"iris/2": new})
        board.refused["iris"] = RouteRefusal(message="Envoy refuses the endpoints of iris/1: no")
        board.held["iris"] = 7
        board.scaling["iris"] = ScalingView(time="", was=1, desired=1, replicas=1, rule="", message="")
        board.starts["iris"] = (StartupTimes(kind=StartKind.COLD, median=2, last=2, count=1),)
        board.fork_servers["iris"] = ForkServerView(phase=ForkServerPhase.READY, memory=1)
        rollout = Rollout(
            api="iris", generation=SECOND, outcome=Outcome.PROGRESSING, message="", finished_at=None
        )
        event = Event(api="iris", time=START, type="normal", reason="Deployed", message="revision 2 deployed")
        revision = Revision(
            api="iris", number=2, digest=SPEC.digest(None), spec=SPEC, package=None, created_at=START
        )
        reported = status.describe(
            UPDATING, revision, rollout, [event], ApiObservation.on(board, "iris"), GATEWAY
        )
        assert [each.routed for each in reported.replicas] == [True, False, False]
        assert [each.up_to_date for each in reported.replicas] == [False, False, True]
        assert reported.traffic.requests == 9
        assert [(pool.generation, pool.revision, pool.share, pool.in_flight) for pool in reported.pools] == [
            (2, 2, 0.25, 1),
            (1, 1, 0.75, 0),
        ]
        assert [pool.traffic.requests for pool in reported.pools] == [3, 0]
        assert reported.api.message == board.refused["iris"].message
        assert reported.held == 7
        assert (reported.scaling, reported.starts) == (board.scaling["iris"], board.starts["iris"])
        assert reported.fork_server == board.fork_servers["iris"]
        assert reported.api.in_flight == 2
        assert reported.spec["timeout"] == "1m"
        assert (reported.rollout.generation, reported.rollout.started_at) == (2, "2030-01-01T00:00:00.000Z")
        assert reported.rollout.finished_at is None
        assert reported.events[0].reason == "Deployed"

    def test_of_what_cannot_be_read_there_is_what_is_stored(self) -> None:
        rollout = Rollout(api="iris", generation=FIRST, outcome=Outcome.DONE, message="", finished_at=START)
        reported = status.describe(LIVE, unreadable(1), rollout, [], ApiObservation(), GATEWAY)
        assert reported.spec == {"name": "iris", "warp": 9}
        assert reported.api.message == "Revision 1 cannot be read: warp: unknown field."

    def test_of_what_was_never_seen(self) -> None:
        assert ApiObservation.on(Board(), "iris") == ApiObservation()


def test_a_history_shows_each_revision_with_its_rollouts() -> None:
    revisions = [transitions.snapshot(SPEC, 2, None, START), unreadable(1)]
    refreshed = Generation(number=3, revision=1, cause=Cause.REFRESH, started_at=START)
    rollouts = [
        Rollout(api="iris", generation=generation, outcome=Outcome.DONE, message="", finished_at=START)
        for generation in (refreshed, SECOND, FIRST)
    ]
    newest, oldest = status.revision_views(replace(LIVE, live=refreshed), revisions, rollouts)
    assert (newest.fault, oldest.fault) == ("", "Revision 1 cannot be read: warp: unknown field.")
    assert (newest.number, newest.live) == (2, False)
    assert (oldest.number, oldest.live) == (1, True)
    assert [rollout.generation for rollout in newest.rollouts] == [2]
    assert [rollout.generation for rollout in oldest.rollouts] == [3, 1]
