"""Events of replicas, and of processes that their replica hides."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

from gyrus.autoscaling.policy import Decision
from gyrus.contract.replica import Phase, PoisonedRequest, ProcessStatus, Reason
from gyrus.control.events import replica_events, scaled_event, shortage_event
from gyrus.state.board import Replica
from support.world import NOW, replica

READY = ProcessStatus(index=0, phase=Phase.READY)
KILLED = ProcessStatus(
    index=0, phase=Phase.BACKOFF, reason=Reason.KILLED, message="it was killed by SIGKILL", exit_code=-9
)
STARTING = ProcessStatus(index=0, phase=Phase.STARTING, restarts=1, reason=Reason.KILLED)
BACK = ProcessStatus(index=0, phase=Phase.READY, restarts=1)


def beside_another(process: ProcessStatus) -> Replica:
    """A replica that is ready all the time, for its other process is."""
    processes = (process, ProcessStatus(index=1, phase=Phase.READY))
    return replica("r", restarts=process.restarts, processes=processes)


def reported(*samples: Replica) -> list[tuple[str, str, str]]:
    """The events between one look and the next."""
    events = [
        event
        for before, after in pairwise(samples)
        for event in replica_events("iris", [before], [after], NOW)
    ]
    assert all(event.replica == "r" for event in events)
    return [(event.type, event.reason, event.message) for event in events]


def test_a_process_that_dies_beside_others_is_reported() -> None:
    assert reported(*map(beside_another, (READY, KILLED, STARTING, BACK, BACK))) == [
        ("warning", "Killed", "Process 0 of replica r: it was killed by SIGKILL"),
        ("normal", "ProcessReady", "Process 0 of replica r is ready again (restarts so far: 1)"),
    ]


def test_a_restart_too_quick_to_be_seen_is_reported() -> None:
    [(_, reason, _)] = reported(beside_another(READY), beside_another(BACK))
    assert reason == "ProcessReady"


def test_a_process_that_starts_for_the_first_time_is_no_news() -> None:
    first = dataclasses.replace(STARTING, restarts=0, reason=None)
    assert reported(beside_another(first), beside_another(READY)) == []


def test_a_replica_whose_pod_others_delete_is_reported_with_the_reason() -> None:
    why = "its pod was deleted from outside"
    serving = replica("r", reason=Reason.EVICTED, message=why)
    serving = dataclasses.replace(serving, evacuation=why)
    stopped = replica("r", phase=Phase.DRAINING)
    assert reported(replica("r"), serving, stopped) == [
        ("warning", "Evicted", f"Replica r is being replaced: {why}"),
        ("normal", "ReplicaDraining", "Replica r is finishing its requests"),
    ]
    late = replica("r", phase=Phase.DRAINING, reason=Reason.EVICTED, message=why)
    gone = replica("r", phase=Phase.GONE, reason=Reason.EVICTED, message=why)
    assert reported(serving, late, gone) == [("warning", "Evicted", f"Replica r is ending: {why}")]
    assert reported(replica("r"), gone) == [("warning", "Evicted", f"Replica r ended: {why}")]


def test_the_only_process_is_reported_once() -> None:
    alone = replica("r", phase=Phase.BACKOFF, reason=Reason.KILLED, processes=(KILLED,))
    starting = replica("r", phase=Phase.STARTING, processes=(STARTING,))
    ready = replica("r", processes=(BACK,))
    reasons = [reason for _, reason, _ in reported(replica("r", processes=(READY,)), alone, starting, ready)]
    assert reasons == ["Killed", "ReplicaRestarted", "ReplicaReady"]


def test_a_change_of_number_shows_its_rule_and_what_it_was_decided_upon() -> None:
    decision = Decision(
        at=0,
        was=3,
        wanted=7,
        replicas=4,
        rule="max_upscale_factor",
        because="upscale factor 1.5 from 3",
        inputs={"average": 6.666666, "target_in_flight": 1.0},
    )
    up = scaled_event("iris", decision, NOW)
    assert (up.type, up.reason) == ("normal", "ScaledUp")
    assert up.message.splitlines() == [
        "Scaled from 3 to 4: desired 7, set to 4: upscale factor 1.5 from 3",
        "average 6.67, target_in_flight 1",
    ]
    down = dataclasses.replace(decision, wanted=2, replicas=2, because="", inputs={})
    event = scaled_event("iris", down, NOW)
    assert (event.reason, event.message) == ("ScaledDown", "Scaled from 3 to 2: desired 2, set to 2")


def test_a_shortage_is_a_warning() -> None:
    decision = Decision(
        at=0, was=3, wanted=7, replicas=4, rule="capacity", because="there is room for 4 only"
    )
    event = shortage_event("iris", decision, NOW)
    assert (event.type, event.reason) == ("warning", "NoCapacity")
    assert event.message == "No capacity for more replicas: desired 7, set to 4: there is room for 4 only"


def test_a_replica_that_could_not_be_started_again_is_reported_once() -> None:
    faulty = replica("r", reason=Reason.ORDER, message="it cannot be started again")
    assert reported(replica("r"), faulty, faulty) == [
        ("warning", "OrderUnreadable", "Replica r: it cannot be started again")
    ]


def test_an_end_by_itself_is_reported() -> None:
    [(kind, reason, _)] = reported(replica("r"), replica("r", phase=Phase.SUCCEEDED))
    assert (kind, reason) == ("normal", "ReplicaSucceeded")


def test_each_request_that_took_down_two_workers_is_reported_once() -> None:
    one, other = PoisonedRequest(id="one", refused_at=1.0), PoisonedRequest(id="other", refused_at=2.0)
    samples = [replica("r", poisoned=poisoned) for poisoned in ((), (one,), (one, other), (other,))]
    assert reported(*samples) == [
        ("warning", "PoisonedRequest", "Request one took down 2 workers. No other worker starts it"),
        ("warning", "PoisonedRequest", "Request other took down 2 workers. No other worker starts it"),
    ]
