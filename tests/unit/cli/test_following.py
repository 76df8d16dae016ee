"""Commands that go on until they are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from gyrus.backends.memory import Step
from gyrus.backends.protocol import ReplicaOrder
from gyrus.client.client import Client
from support.command_line import Gyrus, on_terminal
from support.operator_thread import Operator
from support.project import Project, handler_api

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform == "win32", reason="needs signals")]

HANDLER = "class Handler:\n    def predict(self, payload):\n        return payload\n"


@pytest.fixture
def iris(operator: Operator, tmp_path: Path) -> str:
    """The id of the replica of an API that is live."""
    folder = Project(tmp_path / "project").write(handler_api("iris"), handler=HANDLER)
    with Client() as client:
        [deployed] = client.deploy(folder)
        client.wait("iris", deployed.generation, 60)
    [replica] = operator.replica_ids("iris")
    return replica


@contextmanager
def running(operator: Operator, *arguments: str) -> Generator[IO[str]]:
    """The output of a command, which Ctrl-C then ends quietly."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gyrus.cli.main", *arguments],
        env={**os.environ, "GYRUS_HOME": str(operator.home.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process.stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def never_ready(order: ReplicaOrder) -> tuple[Step, ...]:
    return ()


def begin_updating(operator: Operator) -> None:
    """With new replicas that never become ready, so that it goes on."""
    operator.backend.script = never_ready
    with Client() as client:
        client.refresh("iris")


def test_events_are_followed(operator: Operator, iris: str) -> None:
    with running(operator, "events", "iris", "-f", "-o", "json") as shown:
        past = [json.loads(shown.readline())["reason"] for _ in range(4)]
        assert past[-1] == "RolloutDone"
        operator.call(lambda: operator.backend.held.add(iris))
        operator.call(lambda: operator.backend.kill(iris))
        assert json.loads(shown.readline())["reason"] == "Killed"
        operator.call(lambda: operator.backend.release(iris))
        new = [json.loads(shown.readline()) for _ in range(2)]
        assert [event["reason"] for event in new] == ["ReplicaRestarted", "ReplicaReady"]
        assert {event["replica"] for event in new} == {iris}


def test_following_ends_with_the_api(operator: Operator, iris: str, gyrus: Gyrus) -> None:
    with Client() as client:
        events = client.follow_events("iris", limit=1)
        assert next(events).reason == "RolloutDone"
        assert gyrus("delete", "iris", "-y").code == 0
        assert "ReplicaReady" not in {event.reason for event in events}


def test_logs_are_followed(operator: Operator, iris: str) -> None:
    operator.write(iris, "before")
    with running(operator, "logs", "iris", "-f") as shown:
        assert shown.readline().endswith(f"{iris} before\n")
        operator.write(iris, "after")
        assert shown.readline().endswith(f"{iris} after\n")


def test_changes_are_rows(operator: Operator, iris: str) -> None:
    with running(operator, "get", "-w") as shown:
        assert shown.readline().startswith("NAME")
        assert shown.readline().startswith("iris  live")
        begin_updating(operator)
        assert shown.readline().startswith("iris  updating")


def test_changes_are_json_lines(operator: Operator, iris: str) -> None:
    with running(operator, "get", "iris", "-w", "-o", "json") as shown:
        assert json.loads(shown.readline())["status"] == "live"
        begin_updating(operator)
        assert json.loads(shown.readline())["status"] == "updating"


def test_a_watch_of_one_api_ends_with_it(operator: Operator, iris: str) -> None:
    with on_terminal(operator, "get", "iris", "-w") as terminal:
        terminal.read_until(b"iris")
        with Client() as client:
            client.delete("iris")
        terminal.read_until(b"iris is deleted.")


def test_on_a_terminal_the_list_stays_in_its_place(operator: Operator, iris: str) -> None:
    with on_terminal(operator, "get", "-w") as terminal:
        terminal.read_until(f"{operator.gateway}/iris".encode())
        with Client() as client:
            client.delete("iris")
        assert b"\x1b[2A\x1b[J" in terminal.read_until(b"Nothing is deployed.")


def test_deleting_shows_what_is_left(operator: Operator, iris: str, gyrus: Gyrus) -> None:
    with on_terminal(operator, "delete", "iris") as terminal:
        terminal.read_until(b"Delete iris (live, revision 1)? [y/N]: ")
        os.write(terminal.descriptor, b"y\n")
        terminal.read_until(b"iris is deleted.")
    assert gyrus("get", "-o", "json").json == []
