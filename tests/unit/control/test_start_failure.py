"""The failure of an API's latest start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gyrus.autoscaling.policy import Decision
from gyrus.contract.replica import Phase, Reason
from gyrus.control.situation import Situation
from gyrus.control.start_failure import is_refused, refused_start, start_failure
from gyrus.state.board import Replica, StartFailure
from support.world import NOW, api, replica, spec

LATER = NOW + timedelta(minutes=1)
BROKEN = replica("a", 1, Phase.BACKOFF, Reason.INIT, message="no model file")
FAILED = StartFailure(generation=1, message="InitFailure: no model file", at=NOW)


def situation(*replicas: Replica, target: int = 1) -> Situation[Any]:
    return Situation(
        api=api(target),
        target_spec=spec(),
        live_spec=None,
        replicas=replicas,
        retiring=frozenset(),
        acknowledged={},
        reachable=frozenset(),
    )


def test_failure_stays_until_a_replica_is_ready() -> None:
    failure = start_failure(None, situation(BROKEN), NOW)
    assert failure == FAILED
    assert start_failure(failure, situation(BROKEN), LATER) == FAILED
    assert start_failure(failure, situation(), LATER) == FAILED
    assert start_failure(failure, situation(replica("b", 1, Phase.STARTING)), LATER) == FAILED
    assert start_failure(failure, situation(replica("b"), BROKEN), LATER) is None


def test_failure_ends_with_its_generation() -> None:
    assert start_failure(FAILED, situation(target=2), LATER) is None
    coming = replica("b", 2, Phase.STARTING)
    assert start_failure(FAILED, situation(BROKEN, coming, target=2), LATER) is None


def test_another_reason_is_another_failure() -> None:
    short = replica("b", 1, Phase.PENDING, Reason.CAPACITY, message="waiting for capacity: needs 1 CPU")
    failure = start_failure(FAILED, situation(short), LATER)
    assert failure == StartFailure(generation=1, message="waiting for capacity: needs 1 CPU", at=LATER)


def test_only_a_first_replica_without_capacity_is_a_refused_start() -> None:
    refused = Decision(
        at=0, was=0, wanted=2, replicas=0, rule="capacity", because="there is capacity for 0 only"
    )
    assert is_refused(refused)
    assert not is_refused(Decision(at=0, was=1, wanted=2, replicas=1, rule="capacity", because="for 1 only"))
    assert not is_refused(Decision(at=0, was=1, wanted=0, replicas=0, rule="", because=""))
    assert refused_start(api(), refused, "", NOW).message == (
        "there is no capacity: desired 2, set to 0: there is capacity for 0 only"
    )
