"""The state of one process: its reaction to each event, and its invariants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.replica import FATAL, Phase, Reason, RestartPolicy
from gyrus.runtime.supervisor.process_state import LAST_LINES, Failure, ProcessRules, ProcessState, Want

RULES = ProcessRules(start_timeout=10, patience=60, settled=60, last_words=5)
NEW = ProcessState(index=0, rules=RULES)
BROKEN = Failure(Reason.INIT, "KeyError: 'model'", ("Traceback", "KeyError"))


def ready(at: float = 0) -> ProcessState:
    return NEW.started(1, "unix:/s", at, listening=True).probed(None, at)


def test_it_wants_to_be_started_then_probed_then_nothing() -> None:
    assert NEW.wants(0) is Want.START
    started = NEW.started(7, "unix:/s", 0, listening=False)
    assert started.wants(0) is Want.NOTHING
    assert not started.listening
    assert started.probed(None, 1) == started
    announced = started.announced_ready()
    assert announced.phase is Phase.STARTING
    assert announced.probed(None, 1).phase is Phase.READY


def test_a_start_that_takes_too_long_is_ended() -> None:
    late = NEW.started(7, "unix:/s", 0, listening=True).probed("nothing listens", 3).passed(10)
    assert late.wants(10) is Want.KILL
    dead = late.exited(-9, ("bye",), 10.1)
    assert dead.phase is Phase.BACKOFF
    assert dead.status.reason is Reason.START_TIMEOUT
    assert dead.status.message == "it was not ready within 10 s of its start (nothing listens)"
    assert dead.status.last_lines == ("bye",)


def test_a_killed_process_is_killed_again_if_it_stays() -> None:
    doomed = ready().must_end(BROKEN, 5)
    assert doomed.wants(5) is Want.KILL
    assert doomed.killed(5).wants(5.5) is Want.NOTHING
    assert doomed.killed(5).wants(6) is Want.KILL


def test_it_reports_why_it_failed_and_has_time_to_exit() -> None:
    failing = NEW.started(7, None, 0, listening=False).announced_failure(BROKEN, 1)
    assert failing.wants(1) is Want.NOTHING
    assert failing.wants(6) is Want.KILL
    dead = failing.exited(1, ("hello", "Traceback", "KeyError"), 1.2)
    assert dead.status.reason is Reason.INIT
    assert dead.status.message == "KeyError: 'model'"
    assert dead.status.last_lines == ("hello", "Traceback", "KeyError")
    assert dead.exit_code == 1


@pytest.mark.parametrize("reason", sorted(FATAL))
def test_what_would_fail_again_is_not_tried_again(reason: Reason) -> None:
    failing = NEW.started(7, None, 0, listening=False).announced_failure(Failure(reason, "no"), 1)
    failed = failing.exited(1, (), 1)
    assert failed.phase is Phase.FAILED
    assert failed.passed(1e9).wants(1e9) is Want.NOTHING
    assert failed.wakes_at is None


def test_waits_grow_and_a_long_readiness_resets_them() -> None:
    state, now, waits = NEW, 0.0, list[float]()
    for _ in range(9):
        dead = state.started(1, None, now, listening=True).exited(1, (), now)
        assert dead.retry_at is not None
        waits.append(dead.retry_at - now)
        now = dead.retry_at
        state = dead.passed(now)
        assert state.wants(now) is Want.START
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]

    well = state.started(1, None, now, listening=True).probed(None, now)
    assert well.passed(now + 59.9).exited(1, (), now + 59.9).retry_at == now + 59.9 + 60
    assert well.wakes_at == now + 60
    assert well.passed(now + 60).exited(1, (), now + 60).retry_at == now + 60.5


def test_an_unresponsive_process_is_left_alone_for_a_while() -> None:
    mute = ready().probed("GET /readyz was not answered within 3 s", 100)
    assert mute.status.reason is Reason.UNRESPONSIVE
    assert mute.passed(159).probed(None, 159).phase is Phase.READY
    gone = mute.probed("the same", 130).passed(160)
    assert gone.wants(160) is Want.KILL
    reported = "it did not answer its readiness check for 60 s (the same)"
    assert gone.exited(-9, (), 161).status.message == reported


def test_the_kernels_kill_for_want_of_memory_is_reported() -> None:
    assert ready().exited(-9, (), 1, out_of_memory=True).status.reason is Reason.OUT_OF_MEMORY
    assert ready().exited(-9, (), 1, out_of_memory=False).status.message == "it was killed by SIGKILL"
    assert ready().exited(-11, (), 1, out_of_memory=True).status.message == "it was killed by SIGSEGV"


def test_a_restart_reports_what_was_before() -> None:
    again = ready().exited(3, (), 1).passed(2).started(2, None, 2, listening=True)
    assert again.status.message == "starting again after a failure: it exited with code 3"
    assert again.status.reason is Reason.EXITED
    assert again.restarts == 1
    well = again.probed(None, 3).status
    assert (well.reason, well.message, well.exit_code) == (None, "", 3)


def test_a_stopped_process_drains_and_is_gone() -> None:
    draining = ready().stopping(5)
    assert draining.phase is Phase.DRAINING
    assert draining.wakes_at is None
    assert draining.exited(0, (), 6).phase is Phase.GONE
    assert NEW.stopping(5).phase is Phase.GONE
    assert ready().exited(1, (), 1).stopping(2).phase is Phase.GONE


Step = Callable[[ProcessState, float], ProcessState]
T = TypeVar("T")


def steps(
    values: st.SearchStrategy[T], step: Callable[[ProcessState, float, T], ProcessState]
) -> st.SearchStrategy[Step]:
    def with_value(value: T) -> Step:
        return lambda state, now: step(state, now, value)

    return values.map(with_value)


def started_if_wanted(state: ProcessState, now: float, listening: bool) -> ProcessState:
    return state.started(1, "e", now, listening=listening) if state.wants(now) is Want.START else state


VERDICTS = st.builds(Failure, st.sampled_from(Reason), st.text(max_size=5))
STEPS = st.one_of(
    steps(st.booleans(), lambda state, now, listening: started_if_wanted(state, now, listening)),
    steps(VERDICTS, lambda state, now, verdict: state.refused(verdict, now)),
    steps(VERDICTS, lambda state, now, verdict: state.announced_failure(verdict, now)),
    steps(VERDICTS, lambda state, now, verdict: state.must_end(verdict, now)),
    steps(st.text(max_size=5), lambda state, now, text: state.announced_progress(text)),
    steps(st.sampled_from([None, "mute"]), lambda state, now, fault: state.probed(fault, now)),
    steps(st.integers(-15, 3), lambda state, now, code: state.exited(code, ("line",) * 40, now)),
    steps(st.none(), lambda state, now, _: state.announced_ready()),
    steps(st.none(), lambda state, now, _: state.killed(now)),
    steps(st.none(), lambda state, now, _: state.stopping(now)),
)


@given(st.lists(st.tuples(st.floats(0, 100), STEPS), max_size=40))
def test_what_is_always_true(history: list[tuple[float, Step]]) -> None:
    state, now, stopped = NEW, 0.0, False
    for wait, step in history:
        now += wait
        before = state
        state = step(state.passed(now), now)
        stopped = stopped or state.phase in (Phase.DRAINING, Phase.GONE)
        check(before, state, now, stopped)


def check(before: ProcessState, state: ProcessState, now: float, stopped: bool) -> None:
    status = state.status
    assert (state.retry_at is not None) == (state.phase is Phase.BACKOFF)
    assert state.retry_at is None or state.retry_at <= now + 60
    assert state.restarts >= before.restarts
    assert state.pid is None or state.phase not in (Phase.BACKOFF, Phase.FAILED, Phase.GONE)
    assert status.endpoint is None or status.pid is not None
    assert len(status.last_lines) <= LAST_LINES
    if state.phase is Phase.READY and state.verdict is None:
        assert status.reason is None
    if state.phase in (Phase.BACKOFF, Phase.FAILED, Phase.UNREADY):
        assert status.reason is not None
    if stopped:
        assert state.phase in (Phase.DRAINING, Phase.GONE)
        assert state.wants(now) is not Want.START
    settled = replace(state.passed(now), progress="")
    assert settled.passed(now) == settled, "looking twice changes nothing"


ONCE = replace(NEW, rules=replace(RULES, restart=RestartPolicy.NEVER))


def test_one_that_must_not_run_twice_is_over_when_it_exits() -> None:
    running = ONCE.started(1, None, 0, listening=False).runs(0)
    assert running.phase is Phase.READY
    assert not running.is_over
    done = running.exited(0, (), 1)
    assert (done.phase, done.is_over, done.status.exit_code) == (Phase.SUCCEEDED, True, 0)
    failed = running.exited(2, ("bye",), 1)
    assert (failed.phase, failed.is_over, failed.retry_at) == (Phase.FAILED, True, None)
    for over in (done, failed):
        assert over.stopping(2) == over
        assert over.wants(100) is Want.NOTHING
    assert running.stopping(1).exited(0, (), 2).phase is Phase.GONE


def test_an_exit_after_a_verdict_is_a_failure_whatever_its_code() -> None:
    failing = ONCE.started(1, None, 0, listening=False).announced_failure(BROKEN, 1)
    assert failing.exited(0, (), 2).phase is Phase.FAILED


def test_a_blocked_event_loop_is_reported_until_it_runs_again() -> None:
    started = ProcessState(index=0, rules=ProcessRules()).started(1, "unix:/0", 0, listening=True)
    live = started.probed(None, 1)
    blocked = live.announced_blocked("its event loop is blocked")
    assert (blocked.status.phase, blocked.status.reason) == (Phase.READY, Reason.UNRESPONSIVE)
    assert blocked.status.message == "its event loop is blocked"
    unready = blocked.probed("GET /readyz was not answered", 5)
    assert unready.status.message == "GET /readyz was not answered; its event loop is blocked"
    killed = unready.passed(5 + unready.rules.patience)
    assert "(GET /readyz was not answered; its event loop is blocked)" in killed.status.message
    assert unready.probed(None, 6).announced_blocked("").status.reason is None
    again = blocked.exited(1, (), 7).passed(100).started(2, "unix:/0", 100, listening=True)
    assert "blocked" not in again.probed(None, 101).status.message
