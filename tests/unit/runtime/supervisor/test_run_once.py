"""A replica that must not run twice: it ends with its process, and reports how."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gyrus.contract.replica import Limits, Phase, ProcessConfig, Reason, RestartPolicy
from support.replicas import SERVE, Replicas, Running

WAITS = """
    import os, sys, time
    print("runs", flush=True)
    while not os.path.exists("go"): time.sleep(0.01)
    sys.exit(int(open("go").read()))
"""
WITH_CHILD = """
    import subprocess, sys
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", ignoring], start_new_session=True)
"""


def run_once(replicas: Replicas, script: str, **config: object) -> Running:
    """A program that serves nothing."""
    process = ProcessConfig(command=("python", "server.py"), serves=False)
    return replicas.launch(script=script, process=process, restart=RestartPolicy.NEVER, **config)


def go(replica: Running, code: int) -> None:
    fresh = replica.work / "fresh"
    fresh.write_text(str(code))
    fresh.rename(replica.work / "go")


def test_it_is_ready_while_it_runs_and_succeeds_with_code_0(replicas: Replicas) -> None:
    replica = run_once(replicas, WAITS)
    runs = replica.until_phase(Phase.READY)
    assert runs.endpoints == ()
    assert runs.exit_code is None
    replica.until(lambda _: "runs" in replica.messages("stdout"))
    go(replica, 0)
    assert replica.wait() == 0
    status = replica.status
    assert (status.phase, status.exit_code, status.reason, status.pid) == (Phase.SUCCEEDED, 0, None, None)
    assert (status.restarts, status.processes[0].pid) == (0, None)


def test_another_code_is_a_failure_with_its_last_lines(replicas: Replicas) -> None:
    replica = run_once(replicas, WAITS)
    replica.until_phase(Phase.READY)
    go(replica, 3)
    assert replica.wait() == 0
    status = replica.status
    assert (status.phase, status.exit_code, status.restarts) == (Phase.FAILED, 3, 0)
    assert (status.reason, status.message) == (Reason.EXITED, "it exited with code 3")
    assert status.last_lines == ("runs",)


def test_one_that_is_killed_is_not_started_again(replicas: Replicas) -> None:
    replica = run_once(replicas, WAITS)
    pid = replica.until_phase(Phase.READY).processes[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert replica.wait() == 0
    status = replica.status
    assert (status.phase, status.reason, status.exit_code) == (Phase.FAILED, Reason.KILLED, -signal.SIGKILL)


def test_what_cannot_be_started_is_a_failure(replicas: Replicas) -> None:
    process = ProcessConfig(command=("no-such-program",), serves=False)
    replica = replicas.launch(process=process, restart=RestartPolicy.NEVER)
    assert replica.wait() == 0
    assert (replica.status.phase, replica.status.reason) == (Phase.FAILED, Reason.DEPENDENCIES)


def test_it_is_over_when_its_descendants_are_gone_too(replicas: Replicas) -> None:
    replica = run_once(replicas, WITH_CHILD, grace=0.5)
    assert replica.wait() == 0
    assert replica.status.phase is Phase.SUCCEEDED
    assert Phase.SUCCEEDED not in [status.phase for status in replica.seen]
    replica.until_alone(0)


def test_a_stopped_one_has_not_succeeded(replicas: Replicas) -> None:
    replica = run_once(replicas, WAITS)
    replica.until_phase(Phase.READY)
    replica.terminate()
    assert replica.wait() == 0
    assert replica.status.phase is Phase.GONE
    assert replica.status.exit_code is None


def test_a_server_ends_with_the_proxy_before_it(replicas: Replicas, short_folder: Path) -> None:
    replica = replicas.run(
        *SERVE,
        restart=RestartPolicy.NEVER,
        queue_proxy=True,
        limits=Limits(max_concurrency=1),
        run_dir=str(short_folder),
    )
    server, _ = replica.until_phase(Phase.READY).processes
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    assert replica.wait() == 0
    assert (replica.status.phase, replica.status.exit_code) == (Phase.FAILED, -signal.SIGKILL)
    assert list(short_folder.glob("*.sock")) == []
    replica.until_alone(0)


@pytest.mark.parametrize("restart", RestartPolicy)
def test_a_program_that_serves_nothing_has_no_port(replicas: Replicas, restart: RestartPolicy) -> None:
    script = "import os, time; print(os.environ.get('PORT'), flush=True); time.sleep(600)"
    process = ProcessConfig(command=("python", "server.py"), serves=False)
    replica = replicas.launch(script=script, process=process, restart=restart)
    replica.until_phase(Phase.READY)
    replica.until(lambda _: replica.messages("stdout") == ["None"])
    replica.terminate()
    assert replica.wait() == 0
