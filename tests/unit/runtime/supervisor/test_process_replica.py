"""A replica with the user's own server, from its start to its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import psutil
import pytest

from gyrus.contract.replica import Phase, Reason, ReplicaStatus
from support.replicas import SERVE, Replicas

STUBBORN = """
    import os, signal, socket, time
    signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    while True:
        time.sleep(60)
"""
WITH_CHILDREN = """
    import os, socket, subprocess, sys, time
    sleep = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    for detached in (False, True):
        subprocess.Popen([sys.executable, "-c", sleep], start_new_session=detached)
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    time.sleep(600)
"""


def test_it_becomes_ready_serves_and_goes_when_asked(replicas: Replicas) -> None:
    replica = replicas.run(*SERVE)
    status = replica.until_phase(Phase.READY)

    (endpoint,) = status.endpoints
    with urllib.request.urlopen(f"http://{endpoint}/", timeout=10) as answer:
        assert b"Directory listing" in answer.read()
    assert status.pid == replica.process.pid == os.getpgid(replica.process.pid)
    assert status.pid_started == pytest.approx(psutil.Process(replica.process.pid).create_time(), abs=1.1)
    assert status.started_at
    assert status.ready_at
    assert status.ready_at >= status.started_at

    replica.terminate()
    assert replica.wait() == 0
    gone = replica.status
    assert gone.phase is Phase.GONE
    assert gone.endpoints == ()
    assert gone.pid is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])))


def test_ready_waits_for_the_ready_path(replicas: Replicas) -> None:
    replica = replicas.run(*SERVE, ready_path="/ok")
    replica.until(lambda status: "GET /ok was answered with 404" in status.message)
    assert replica.status.phase is Phase.STARTING
    (replica.work / "ok").write_text("")
    replica.until_phase(Phase.READY)


def test_every_change_is_notified(replicas: Replicas, notifications: socket.socket) -> None:
    replica = replicas.run(*SERVE, notify=notifications.getsockname())
    phases: list[Phase] = []
    while Phase.READY not in phases:
        assert notifications.recv(100) == replica.status.id.encode()
        phases.append(replica.status.phase)
    replica.terminate()
    while Phase.GONE not in phases:
        notifications.recv(100)
        phases.append(replica.status.phase)


def test_a_listener_with_a_full_queue_is_reported_later(
    replicas: Replicas, notifications: socket.socket
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                filler.sendto(b"other", notifications.getsockname())
    replica = replicas.run(*SERVE, notify=notifications.getsockname())
    replica.until_phase(Phase.READY)
    while notifications.recv(100) != replica.status.id.encode():
        pass


def test_the_process_has_only_the_environment_it_should(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPERATOR_SECRET", "hush")
    script = "import os\nfor pair in sorted(os.environ.items()): print(*pair, sep='=')\nraise SystemExit(3)"
    replica = replicas.run(script=script, env={"MODEL": "small"})
    replica.until_phase(Phase.BACKOFF)
    printed = dict(line.split("=", 1) for line in replica.messages("stdout") if "=" in line)
    assert printed["MODEL"] == "small"
    assert printed["GYRUS_API"] == "a"
    assert printed["GYRUS_REPLICA"] == replica.status.id
    assert printed["GYRUS_REVISION"] == "1"
    assert printed["PORT"].isdigit()
    assert printed["PATH"].startswith(os.path.dirname(sys.executable) + ":")
    assert printed["VIRTUAL_ENV"] == sys.prefix
    assert "OPERATOR_SECRET" not in printed
    assert "GYRUS_CONTROL_FD" not in printed


def test_an_exit_is_reported_with_its_last_lines_and_it_is_started_again(replicas: Replicas) -> None:
    replica = replicas.run(script="print('hello')\nraise SystemExit('no model here')")
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.EXITED
    assert status.message == "it exited with code 1"
    assert status.last_lines == ("hello", "no model here")
    assert status.retry_at
    again = replica.until(lambda status: status.restarts == 2)
    assert again.processes[0].exit_code == 1
    runs = [line.get("run", 0) for line in replica.log if line["message"] == "hello"]
    assert runs[:2] == [0, 1]


@pytest.mark.parametrize(
    ("command", "reason", "message"),
    [
        (
            "no-such-command",
            Reason.DEPENDENCIES,
            "the command no-such-command was not found; "
            "add its package to requirements.txt or correct process.command",
        ),
        (
            "./run.sh",
            Reason.PACKAGE,
            "the command ./run.sh is not in the project; add the file or correct process.command",
        ),
        (
            "./server.py",
            Reason.PACKAGE,
            "the command ./server.py cannot be executed; make it executable (chmod +x ./server.py)",
        ),
    ],
)
def test_what_can_never_start_fails_for_good_and_stays_until_stopped(
    replicas: Replicas, command: str, reason: Reason, message: str
) -> None:
    replica = replicas.run(command, script="")
    status = replica.until_phase(Phase.FAILED)
    assert status.reason is reason
    assert status.message == message
    assert status.retry_at is None
    assert replica.process.poll() is None
    replica.terminate()
    assert replica.wait() == 0
    assert replica.status.phase is Phase.GONE


def test_a_missing_project_folder_is_named(replicas: Replicas) -> None:
    replica = replicas.run(*SERVE, project="/nowhere/at/all")
    status = replica.until_phase(Phase.FAILED)
    assert status.reason is Reason.PACKAGE
    assert status.message == "the project folder /nowhere/at/all is missing; deploy it again"


def test_a_process_that_never_listens_is_reported_and_killed(replicas: Replicas) -> None:
    replica = replicas.run("sleep", "600", start_timeout=0.5)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.NOT_LISTENING
    assert status.message.startswith(
        "sleep runs, but nothing accepted connections on $PORT within 0.5 s of its start (nothing listens on "
    )
    assert status.processes[0].exit_code == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="it is found in /proc")
def test_a_server_that_listens_elsewhere_is_reported_with_the_port(replicas: Replicas) -> None:
    script = """
        import socket, time
        listener = socket.create_server(("127.0.0.1", 0))
        six = socket.create_server(("::1", 0), family=socket.AF_INET6) if socket.has_ipv6 else None
        print(listener.getsockname()[1], flush=True)
        time.sleep(600)
    """
    replica = replicas.run(script=script)
    status = replica.until(lambda status: "it listens on" in status.message)
    (port,) = replica.messages("stdout")
    assert status.phase is Phase.STARTING
    assert f"; it listens on 127.0.0.1:{port}, [::1]:" in status.message
    assert status.message.endswith(" instead of $PORT")


def test_a_death_by_signal_is_reported_and_the_process_comes_back(replicas: Replicas) -> None:
    replica = replicas.run(*SERVE)
    first = replica.until_phase(Phase.READY)
    assert first.processes[0].pid
    os.kill(first.processes[0].pid, signal.SIGKILL)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.KILLED
    assert status.message == "it was killed by SIGKILL"
    assert status.endpoints == ()
    back = replica.until(lambda status: status.phase is Phase.READY and status.restarts == 1)
    assert back.reason is None
    assert back.endpoints != ()


def test_too_much_memory_is_reported_and_ends_the_process(replicas: Replicas) -> None:
    hog = "hoard = b'x' * (200 << 20)\nimport time\ntime.sleep(600)"
    replica = replicas.run(script=hog, memory=100 << 20)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.OUT_OF_MEMORY
    reported = re.fullmatch(
        r"it used (\d+) MiB, but compute\.mem allows 100 MiB; raise compute\.mem", status.message
    )
    assert reported
    assert 100 < int(reported[1]) < 300


def test_memory_of_descendants_counts(replicas: Replicas) -> None:
    parent = """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "h = b'x' * (200 << 20); import time; time.sleep(600)"])
        time.sleep(600)
    """
    replica = replicas.run(script=parent, memory=100 << 20)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.OUT_OF_MEMORY
    replica.terminate()
    replica.wait()
    replica.until_alone()


def test_a_wedged_server_is_reported_within_five_seconds_and_comes_back(replicas: Replicas) -> None:
    replica = replicas.run(*SERVE, ready_path="/")
    pid = replica.until_phase(Phase.READY).processes[0].pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    status = replica.until_phase(Phase.UNREADY, seconds=5)
    assert status.reason is Reason.UNRESPONSIVE
    assert status.message == "GET / was not answered within 3 s"
    assert status.endpoints == ()
    os.kill(pid, signal.SIGCONT)
    back = replica.until_phase(Phase.READY)
    assert back.processes[0].pid == pid
    assert back.restarts == 0


def test_a_stubborn_process_is_killed_when_its_grace_is_over(replicas: Replicas) -> None:
    replica = replicas.run(script=STUBBORN, grace=0.7)
    replica.until_phase(Phase.READY)
    replica.terminate()
    draining = replica.until_phase(Phase.DRAINING)
    assert draining.endpoints == ()
    replica.terminate()  # changes nothing
    assert replica.wait() == 0
    assert replica.status.processes[0].exit_code == -signal.SIGKILL
    assert "not yet" in replica.messages("stdout")
    replica.until_alone(0)


CURT = """
    import os, socket, time
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    while True:
        peer, _ = listener.accept()
        while request := peer.recv(100):
            peer.sendall(request)
        peer.close()
"""
"""At SIGTERM it dies at once, whatever it is doing."""


@pytest.mark.skipif(sys.platform != "linux", reason="connections are seen on Linux only")
def test_a_server_is_stopped_when_its_connections_are_closed(replicas: Replicas) -> None:
    replica = replicas.run(script=CURT, grace=60)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    with socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), timeout=10) as caller:
        replica.terminate()
        replica.until_phase(Phase.DRAINING)
        for _ in range(3):
            caller.sendall(b"a request")
            assert caller.recv(100) == b"a request"
            time.sleep(0.1)  # several looks of the supervisor
    assert replica.wait() == 0
    assert replica.status.processes[0].exit_code == -signal.SIGTERM


def test_a_connection_that_stays_does_not_hold_a_server_for_ever(replicas: Replicas) -> None:
    replica = replicas.run(script=CURT, grace=1)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    with socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])), timeout=10):
        replica.terminate()
        assert replica.wait() == 0
    assert replica.status.processes[0].exit_code == -signal.SIGTERM


def _descendants(status: ReplicaStatus) -> list[psutil.Process]:
    assert status.pid
    return psutil.Process(status.pid).children(recursive=True)


def _await_end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []


def test_descendants_end_with_the_replica_even_those_in_other_sessions(replicas: Replicas) -> None:
    replica = replicas.run(script=WITH_CHILDREN, grace=0.7)
    family = _descendants(replica.until_phase(Phase.READY))
    assert len(family) == 3
    replica.terminate()
    assert replica.wait() == 0
    _await_end(family)


def test_descendants_of_a_dead_process_are_gone_before_it_is_started_again(replicas: Replicas) -> None:
    replica = replicas.run(script=WITH_CHILDREN)
    first = replica.until_phase(Phase.READY)
    family = _descendants(first)
    assert first.processes[0].pid
    os.kill(first.processes[0].pid, signal.SIGKILL)
    _await_end(family)
    replica.until(lambda status: status.phase is Phase.READY and status.restarts == 1)


def test_a_wrapper_that_does_not_pass_signals_on_still_drains_its_server(replicas: Replicas) -> None:
    script = """
        import os, signal, socket, time
        def drain(*_):
            print("drained", flush=True)
            raise SystemExit
        signal.signal(signal.SIGTERM, drain)
        listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
        while True:
            time.sleep(60)
    """
    replica = replicas.run("sh", "-c", "python server.py; echo never reached", script=script)
    replica.until_phase(Phase.READY)
    replica.terminate()
    assert replica.wait() == 0
    replica.until_alone(0)
    assert replica.messages("stdout") == ["drained"]


def test_the_processes_die_with_a_killed_supervisor(replicas: Replicas) -> None:
    replica = replicas.run(*SERVE)
    replica.until_phase(Phase.READY)
    assert replica.members()
    replica.process.kill()
    replica.wait()
    replica.until_alone()


def test_a_stop_while_starting(replicas: Replicas) -> None:
    replica = replicas.run("sleep", "600")
    replica.until(lambda status: status.processes[0].pid)
    replica.terminate()
    assert replica.wait() == 0
    assert replica.status.phase is Phase.GONE
    replica.until_alone(0)


def test_a_stop_while_waiting_to_try_again(replicas: Replicas) -> None:
    replica = replicas.run("false")
    replica.until(lambda status: status.phase is Phase.BACKOFF and status.restarts >= 2)
    replica.terminate()
    assert replica.wait(5) == 0
    assert replica.status.phase is Phase.GONE


@pytest.mark.processes
def test_an_unreadable_configuration_is_reported(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "config.json")
    with open(path, "w") as file:
        file.write('{"id": 1}')
    command = [sys.executable, "-m", "gyrus.runtime.supervisor", path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == 2
    assert "ReplicaConfig.id is 1, not" in ended.stderr
