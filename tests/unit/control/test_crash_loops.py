"""When requests stop waiting for replicas that fail again and again, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, Reason, ReplicaConfig
from gyrus.control.route import route
from gyrus.control.situation import Situation
from gyrus.runtime.supervisor.process_state import Failure, ProcessRules, ProcessState, Want
from gyrus.runtime.supervisor.report import Origin, Reporter
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Replica
from gyrus.state.records import Api
from support.world import NOW, api, replica, spec

ACTIVATOR = "unix:/run/activator.sock"
LOADING = 2.0
"""Seconds from a start to its failure, or to its readiness."""
FAILURE = Failure(Reason.INIT, "RuntimeError: no database", ("Traceback", "RuntimeError: no database"))
LIVE = api(live=1, outcome=Outcome.DONE)


def looping(id: str, generation: int = 1) -> Replica:
    return replica(id, generation, Phase.BACKOFF, failures=3, restarts=3)


def refusal(*replicas: Replica, of: Api = LIVE, **changes: Any) -> str:
    plain: RealtimeSpec = spec()
    known = Situation(
        api=of,
        target_spec=plain,
        live_spec=plain,
        replicas=replicas,
        retiring=frozenset(),
        acknowledged={},
        reachable=frozenset(),
        activator=ACTIVATOR,
    )
    queueing = route(replace(known, **changes), frozenset()).queueing
    assert queueing is not None
    return queueing.unavailable_reason


class Crashing:
    """A replica's only process, which fails :data:`LOADING` seconds after each start until it is mended."""

    def __init__(self) -> None:
        config = ReplicaConfig(id="iris-1-abcde", api="iris", revision=1, project="", python="")
        origin = Origin(pid=1, pid_started=0.0, started_at=0.0, epoch=NOW.timestamp())
        self._reporter = Reporter(config, origin)
        self.state = ProcessState(index=0, rules=ProcessRules())
        self.now = 0.0
        self.mended = True
        self.began = 0.0

    def until(self, end: float, *, step: float = 0.1) -> list[tuple[float, str]]:
        """Let time pass. Returns each moment with the reason for which requests are refused."""
        seen: list[tuple[float, str]] = []
        while self.now < end:
            self.now += step
            self._pass()
            seen.append((self.now, refusal(self.replica)))
        return seen

    @property
    def replica(self) -> Replica:
        status = self._reporter.report([self.state], stopping=False, ended=False, ready_at=None)
        return Replica(status=status, generation=1)

    def crash(self) -> None:
        self.state = self.state.exited(1, (), self.now)
        self.mended = False

    def _pass(self) -> None:
        self.state = self.state.passed(self.now)
        if self.state.wants(self.now) is Want.START:
            self.state = self.state.started(7, "unix:/run/1.sock", self.now, listening=True)
            self.began = self.now
        elif self.state.phase is Phase.STARTING and self.now >= self.began + LOADING:
            if self.mended:
                self.state = self.state.probed(None, self.now)
            else:
                self.state = self.state.announced_failure(FAILURE, self.now).exited(1, (), self.now)


def test_requests_wait_through_two_failures_and_are_refused_from_the_third_on() -> None:
    crashing = Crashing()
    assert not any(reason for _, reason in crashing.until(5.0))
    crashing.crash()
    seen = crashing.until(300.0)
    first = next(moment for moment, reason in seen if reason)
    assert first == pytest.approx(5.0 + 0.5 + LOADING + 1.0 + LOADING, abs=1.0)
    assert all(reason for moment, reason in seen if moment >= first), "it depends on the moment"
    assert {reason.partition(" times in a row ")[2] for _, reason in seen if reason} == {
        "(InitFailure): RuntimeError: no database"
    }


def test_requests_wait_again_once_a_replica_has_been_ready() -> None:
    crashing = Crashing()
    crashing.until(5.0)
    crashing.crash()
    assert crashing.until(60.0)[-1][1]
    crashing.mended = True
    crashing.until(130.0)
    assert crashing.state.phase is Phase.READY
    assert refusal(crashing.replica) == ""
    crashing.until(260.0)  # a minute of readiness ends the row
    crashing.crash()
    assert not any(reason for _, reason in crashing.until(crashing.now + 3.0))


def test_earlier_restarts_do_not_count() -> None:
    """A replica that fails once a day restarts at once, however old it is."""
    assert refusal(replica("r1", phase=Phase.BACKOFF, restarts=40, failures=1)) == ""


def test_cause_is_that_of_the_replica_that_fails_most() -> None:
    worst = replica("r2", phase=Phase.BACKOFF, reason=Reason.EXITED, failures=7, message="exit code 1")
    assert refusal(looping("r1"), worst, of=replace(LIVE, replicas=2)) == (
        "Replica r2 has failed 7 times in a row (Exited): exit code 1"
    )


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.BUILDING, Phase.STARTING, Phase.READY, Phase.UNREADY])
def test_another_replica_that_may_come_up_keeps_requests_waiting(phase: Phase) -> None:
    assert refusal(looping("r1"), replica("r2", phase=phase)) == ""


def test_idle_api_and_replicas_that_control_has_yet_to_start_keep_requests_waiting() -> None:
    assert refusal(of=replace(LIVE, replicas=0)) == ""
    assert refusal(of=replace(LIVE, replicas=1)) == ""
    assert refusal(looping("r1"), of=replace(LIVE, replicas=2)) == ""


def test_update_that_may_succeed_keeps_requests_waiting() -> None:
    updating = api(target=2, live=1, outcome=Outcome.PROGRESSING)
    assert refusal(looping("r1"), of=updating) == ""
    assert refusal(looping("r1"), replica("n1", 2, Phase.STARTING), of=updating) == ""
    assert refusal(looping("r1"), looping("n1", 2), of=updating) == ""
    fallen_back = api(target=2, live=1, outcome=Outcome.FAILED)
    assert refusal(looping("r1"), of=fallen_back)


def test_start_that_took_its_whole_time_is_not_waited_for_twice() -> None:
    late = replica("r1", phase=Phase.BACKOFF, reason=Reason.START_TIMEOUT, failures=1)
    assert refusal(late)
    assert refusal(replica("r1", phase=Phase.FAILED, reason=Reason.IMPORT, failures=1))
