"""The replica's status, derived from the states of its processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyrus.contract.replica import Phase, ProcessConfig, Reason, ReplicaConfig
from gyrus.runtime.supervisor.process_state import Failure, ProcessRules, ProcessState
from gyrus.runtime.supervisor.report import Origin, Reporter

CONFIG = ReplicaConfig(id="a-1-x", api="a", revision=3, project="/p", python="/py")
PROXIED = replace(CONFIG, process=ProcessConfig(command=("x",)), queue_proxy=True)
ORIGIN = Origin(pid=10, pid_started=1.5, started_at=1000.0, epoch=1000.0)


def reporter(config: ReplicaConfig = CONFIG) -> Reporter:
    return Reporter(config, ORIGIN)


def starting(index: int) -> ProcessState:
    return ProcessState(index=index, rules=ProcessRules()).started(
        index + 1, f"unix:/{index}", 0, listening=True
    )


def ready(index: int) -> ProcessState:
    return starting(index).probed(None, 1)


def mute(index: int) -> ProcessState:
    return ready(index).probed("mute", 2)


def dead(index: int) -> ProcessState:
    return ready(index).exited(1, (f"last of {index}",), 5)


def failed(index: int) -> ProcessState:
    broken = starting(index).announced_failure(Failure(Reason.IMPORT, "No module named 'x'"), 1)
    return broken.exited(1, (), 1)


@pytest.mark.parametrize(
    ("lives", "phase", "reason"),
    [
        ([starting(0), ready(1)], Phase.READY, None),
        ([mute(0), starting(1)], Phase.UNREADY, Reason.UNRESPONSIVE),
        ([dead(0), starting(1)], Phase.STARTING, None),
        ([failed(0), dead(1)], Phase.BACKOFF, Reason.EXITED),
        ([failed(0), failed(1)], Phase.FAILED, Reason.IMPORT),
    ],
)
def test_the_nearest_process_decides(lives: list[ProcessState], phase: Phase, reason: Reason | None) -> None:
    status = reporter().report(lives, stopping=False, ended=False, ready_at=None)
    assert (status.phase, status.reason) == (phase, reason)
    assert status.endpoints == (("unix:/1",) if phase is Phase.READY else ())
    assert (status.pid, status.pid_started, status.started_at) == (10, 1.5, 1000.0)


def test_missing_processes_are_reported() -> None:
    status = reporter().report([ready(0), dead(1)], stopping=False, ended=False, ready_at=1.0)
    assert status.message == "1 of 2 processes are ready; process 1: it exited with code 1"
    assert status.ready_at == 1001.0


def test_a_wait_has_an_end_on_the_wall_clock_and_a_reason() -> None:
    status = reporter().report([dead(0)], stopping=False, ended=False, ready_at=1.0)
    assert status.retry_at == 1005.5
    assert status.last_lines == ("last of 0",)


def test_old_failures_do_not_explain_new_silence() -> None:
    back = dead(0).passed(6).started(2, "unix:/0", 6, listening=True).probed(None, 7).probed("mute", 8)
    assert reporter().report([back], stopping=False, ended=False, ready_at=1.0).last_lines == ()


def test_the_end() -> None:
    stopping = [ready(0).stopping(5), dead(1).stopping(5)]
    status = reporter().report(stopping, stopping=True, ended=False, ready_at=1.0)
    assert (status.phase, status.endpoints, status.reason) == (Phase.DRAINING, (), None)
    gone = [stopping[0].exited(0, (), 6), stopping[1]]
    assert reporter().report(gone, stopping=True, ended=False, ready_at=1.0).phase is Phase.DRAINING
    status = reporter().report(gone, stopping=True, ended=True, ready_at=1.0)
    assert (status.phase, status.pid) == (Phase.GONE, None)


def test_behind_a_queue_proxy_both_are_needed_and_the_proxy_is_the_gate() -> None:
    with_proxy = reporter(PROXIED)
    both = with_proxy.report([ready(0), ready(1)], stopping=False, ended=False, ready_at=1.0)
    assert (both.phase, both.endpoints) == (Phase.READY, ("unix:/1",))
    one = with_proxy.report([starting(0), ready(1)], stopping=False, ended=False, ready_at=None)
    assert (one.phase, one.endpoints) == (Phase.STARTING, ())


def test_a_blocked_process_is_named_beside_others() -> None:
    blocked = ready(1).announced_blocked("its event loop is blocked")
    status = reporter(replace(CONFIG, processes=2)).report(
        [ready(0), blocked], stopping=False, ended=False, ready_at=1.0
    )
    assert (status.phase, status.reason) == (Phase.READY, Reason.UNRESPONSIVE)
    assert status.message == "process 1: its event loop is blocked"
    assert len(status.endpoints) == 2, "it stays in use until a probe fails"
