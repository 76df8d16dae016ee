"""One leads, and one that leads no more acts no more."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.contract.home import Home
from gyrus.operator.errors import LeadershipLost, StartError
from gyrus.operator.home_lock import CHECK, HomeLock
from gyrus.operator.leadership import EXIT_CODE, Leadership, find
from support.platform import free_ports


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


class TestHomeLock:
    async def test_one_at_a_time(self, home: Home) -> None:
        for _ in range(2):
            async with HomeLock(home).acquire():
                with pytest.raises(StartError, match="Another operator already runs"):
                    async with HomeLock(home).acquire():
                        pass

    async def test_a_lock_file_that_is_removed_lets_no_second_one_in(self, home: Home) -> None:
        async with HomeLock(home).acquire():
            home.lock.unlink()
            with pytest.raises(StartError, match="Another operator already runs"):
                async with HomeLock(home).acquire():
                    pass
            assert not home.lock.exists()
        async with HomeLock(home).acquire():
            assert home.lock.exists()

    @pytest.mark.parametrize("moved", ["home", "home/operator.lock"])
    async def test_it_is_lost_with_its_file(self, home: Home, moved: str, tmp_path: Path) -> None:
        clock = VirtualClock()
        lock: Leadership = HomeLock(home, clock)
        async with lock.acquire():
            lost = asyncio.create_task(lock.lost())
            await clock.advance(10 * CHECK)
            assert not lost.done()
            (tmp_path / moved).rename(tmp_path / "elsewhere")
            await clock.advance(CHECK)
            assert lost.result() == f"its lock file {home.lock} is gone (No such file or directory)"

    async def test_it_is_lost_to_another_file(self, home: Home) -> None:
        clock = VirtualClock()
        lock = HomeLock(home, clock)
        async with lock.acquire():
            lost = asyncio.create_task(lock.lost())
            await clock.settle()
            other = home.lock.with_suffix(".other")
            other.touch()
            other.replace(home.lock)
            await clock.advance(CHECK)
            assert lost.result() == f"its lock file {home.lock} has been replaced"


def test_an_error_is_found_in_any_group() -> None:
    lost = LeadershipLost("why")
    assert find(LeadershipLost, lost) is lost
    group = ExceptionGroup("outer", [ValueError(), ExceptionGroup("inner", [lost])])
    assert find(LeadershipLost, group) is lost
    assert find(LeadershipLost, ExceptionGroup("outer", [ValueError()])) is None
    assert find(LeadershipLost, KeyboardInterrupt()) is None


HANGING = """
import asyncio, contextlib, sys, time
from gyrus.operator import leadership

class Lease:
    @contextlib.asynccontextmanager
    async def acquire(self):
        yield

    async def lost(self):
        await asyncio.sleep(0.1)
        return "another one renewed it"

async def act():
    try:
        await asyncio.sleep(60)
    finally:
        print("acts no more", flush=True)

async def decide():
    try:
        await asyncio.sleep(60)
    finally:
        {cleanup}

async def operate():
    async with asyncio.TaskGroup() as group:
        group.create_task(act())
        group.create_task(decide())

leadership.END_TIMEOUT = 1
try:
    asyncio.run(leadership.lead(Lease(), operate()))
except BaseException as error:
    assert str(leadership.find(leadership.LeadershipLost, error)) == "another one renewed it"
    sys.exit(leadership.EXIT_CODE)
"""


@pytest.mark.processes
@pytest.mark.parametrize("cleanup", ["pass", "await asyncio.sleep(60)", "time.sleep(60)"])
def test_all_that_acts_is_cancelled_and_the_process_ends_whatever_hangs(cleanup: str) -> None:
    begun = time.monotonic()
    command = [sys.executable, "-c", HANGING.format(cleanup=cleanup)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == EXIT_CODE, done.stderr
    assert done.stdout == "acts no more\n"
    assert "this operator ends, replicas and gateway continue: another one renewed it" in done.stderr
    assert time.monotonic() - begun < 20


PHASES = {
    "open": "operator._open",
    "look at the gateway": "operator.LocalGateway.adopt",
    "look at replicas": "operator.LocalBackend.adopt",
    "restore": "operator.Controller.restore",
    "serve": "operator.serve",
    "withdraw routes": "operator.withdraw_routes",
    "stop replicas": "operator.stop_replicas",
    "stop the gateway": "operator.LocalGateway.stop",
    "clear": "operator.remove_run_folder",
}
"""What an operator does in this order, from its start to the end of the platform."""

LOSING = """
import asyncio, functools, signal, sys
from pathlib import Path
from gyrus.operator import leadership, operator
from gyrus.operator.__main__ import main

def observed(phase, owner, name):
    act = getattr(owner, name)

    def began():
        print(phase, flush=True)
        if phase == {lost_in!r}:
            Path({lock!r}).unlink()
        elif phase == "serve":
            signal.raise_signal(signal.SIGINT)

    async def lose(*_, **__):
        began()
        try:
            await asyncio.sleep(60)
        finally:
            {cleanup}

    @functools.wraps(act)
    def observe(*arguments, **named):
        began()
        return act(*arguments, **named)

    setattr(owner, name, lose if phase == {lost_in!r} else observe)

for phase, path in {phases!r}.items():
    *owners, name = path.split(".")[1:]
    observed(phase, functools.reduce(getattr, owners, operator), name)

run = operator.LocalBackend.run

async def run_backend(self):
    try:
        await run(self)
    finally:
        sys.stderr.write("the backend has stopped\\n")

operator.LocalBackend.run = run_backend
leadership.END_TIMEOUT = 2
sys.exit(main())
"""
"""An operator that reports its phases, loses its lock in one of them and waits there."""


def lose(home: Home, phase: str, *arguments: str, cleanup: str = "pass") -> subprocess.CompletedProcess[str]:
    script = LOSING.format(lost_in=phase, lock=str(home.lock), phases=PHASES, cleanup=cleanup)
    ports = free_ports(2)
    words = ["--home", str(home.root), "--gateway-port", str(ports[0]), "--operator-port", str(ports[1])]
    command = [sys.executable, "-P", "-c", script, *words, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "serve" in done.stdout:
        lose(home, "none", "--clean")  # Envoy continues
    return done


@pytest.mark.processes
@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "clear"])
def test_no_phase_follows_the_one_in_which_it_is_lost(home: Home, phase: str) -> None:
    done = lose(home, phase)
    order = list(PHASES)
    assert done.stdout.splitlines() == order[: order.index(phase) + 1], done.stderr
    assert done.returncode == EXIT_CODE, done.stderr
    assert f"The operator stopped: its lock file {home.lock} is gone" in done.stderr
    assert not home.operator_file.exists()


@pytest.mark.processes
def test_no_part_continues_while_another_one_ends_slowly(home: Home) -> None:
    done = lose(home, "serve", cleanup="await asyncio.sleep(60)")
    assert done.returncode == EXIT_CODE, done.stderr
    assert "the backend has stopped" in done.stderr


@pytest.mark.processes
@pytest.mark.parametrize("phase", ["look at replicas", "stop replicas", "stop the gateway"])
def test_nor_while_it_cleans_up_after_another(home: Home, phase: str) -> None:
    done = lose(home, phase, "--clean")
    order = ["look at replicas", "stop replicas", "stop the gateway"]
    assert done.stdout.splitlines() == order[: order.index(phase) + 1], done.stderr
    assert done.returncode == EXIT_CODE, done.stderr
