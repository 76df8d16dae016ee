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
from gyrus.operator.leadership import EXIT_CODE, Leadership, loss


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


def test_a_loss_is_found_in_any_group() -> None:
    lost = LeadershipLost("why")
    assert loss(lost) is lost
    assert loss(ExceptionGroup("outer", [ValueError(), ExceptionGroup("inner", [lost])])) is lost
    assert loss(ExceptionGroup("outer", [ValueError()])) is None
    assert loss(KeyboardInterrupt()) is None


SCRIPT = """
import asyncio, sys, threading, time
from gyrus.operator import leadership

class Lease:
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

async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(leadership.require(Lease()))
        group.create_task(act())
        await decide()

leadership.END_TIMEOUT = 1
try:
    asyncio.run(main())
except BaseException as error:
    assert str(leadership.loss(error)) == "another one renewed it"
    sys.exit(leadership.EXIT_CODE)
"""


@pytest.mark.processes
@pytest.mark.parametrize("cleanup", ["pass", "await asyncio.sleep(60)", "time.sleep(60)"])
def test_all_that_acts_is_cancelled_and_the_process_ends_whatever_hangs(cleanup: str) -> None:
    begun = time.monotonic()
    command = [sys.executable, "-c", SCRIPT.format(cleanup=cleanup)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == EXIT_CODE, done.stderr
    assert done.stdout == "acts no more\n"
    assert "this operator ends, replicas and gateway continue: another one renewed it" in done.stderr
    assert time.monotonic() - begun < 20
