"""Finding supervisors and their processes again, and no others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gyrus.backends.local.supervisor_process import (
    SupervisorProcess,
    find_supervisors,
    is_supervisor,
    kill_leftovers,
)
from support.looking import has_ended, until

pytestmark = pytest.mark.processes

LEADER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


class Group:
    """A process group that has lost its leader."""

    def __init__(self, replica: str | None) -> None:
        environ = os.environ | ({"GYRUS_REPLICA": replica} if replica else {})
        command = (sys.executable, "-c", LEADER)
        self.leader = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.leader.stdout
        self.orphan = psutil.Process(int(self.leader.stdout.readline()))

    def lose_leader(self) -> int:
        self.leader.kill()
        self.leader.wait()
        return self.leader.pid

    @property
    def alive(self) -> bool:
        return not has_ended(self.orphan)

    def end(self) -> None:
        try:
            os.killpg(self.leader.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.leader.wait()
        assert self.leader.stdout
        self.leader.stdout.close()


def dead() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen((sys.executable, "-c", ""))
    child.wait()
    return child.pid


@pytest.fixture
def groups() -> Iterator[list[Group]]:
    made: list[Group] = []
    yield made
    for group in made:
        group.end()


def test_what_a_dead_supervisor_leaves_is_ended(groups: list[Group]) -> None:
    group = Group("iris-1-aaaaa")
    groups.append(group)
    kill_leftovers(group.lose_leader(), "iris-1-aaaaa")
    assert not group.alive


@pytest.mark.parametrize("owner", [None, "iris-1-bbbbb"], ids=["nobody's", "another replica's"])
def test_a_group_with_the_same_number_is_left_alone(groups: list[Group], owner: str | None) -> None:
    group = Group(owner)
    groups.append(group)
    kill_leftovers(group.lose_leader(), "iris-1-aaaaa")
    with pytest.raises(psutil.TimeoutExpired):
        group.orphan.wait(0.2)


def test_an_unused_pid_does_no_harm() -> None:
    kill_leftovers(dead(), "iris-1-aaaaa")


async def test_a_supervisor_is_known_by_its_configuration(tmp_path: Path) -> None:
    """One that cannot read its configuration exits at once, and reports why."""
    config, errors = tmp_path / "config.json", tmp_path / "supervisor.err"
    os.mkfifo(config)  # it waits for a writer
    supervisor = SupervisorProcess.launch(sys.executable, config, errors)
    noticed = asyncio.Event()
    await until(lambda: supervisor.alive)
    assert find_supervisors()[str(config)] == [supervisor.pid]
    assert not is_supervisor(supervisor.pid, tmp_path / "other.json")
    assert not is_supervisor(os.getpid(), config)
    with supervisor.watch(noticed) as watch:
        assert not watch.exited
        config.write_text("not json")
        async with asyncio.timeout(20):
            await noticed.wait()
        assert watch.exited
    await until(lambda: supervisor.reap() == 2)
    assert "config.json cannot be read" in errors.read_text()
    assert not supervisor.alive


async def test_a_watch_on_one_that_is_dead_already_notifies(tmp_path: Path) -> None:
    pid = dead()
    noticed = asyncio.Event()
    with SupervisorProcess(pid, tmp_path / "config.json").watch(noticed) as watch:
        assert watch.exited
        assert noticed.is_set()
