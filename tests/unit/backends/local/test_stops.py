"""A stop is on disk before anything acts on it: an operator that dies in between has not forgotten it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.aio.tasks import first_of
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.local.settings import LocalSettings
from gyrus.contract.replica import Phase
from support.backends import LocalWorld, gone, local_world, observed, running

pytestmark = pytest.mark.processes

ID = "iris-1-aaaaa"
TESTS = Path(__file__).parents[3]

OPERATOR = """
import asyncio, os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gyrus.contract.home import Home
from gyrus.contract.replica import Phase
from support.backends import Folder, LocalWorld, observed, order, running

async def main(home, project, id, moment):
    backend = LocalWorld(Home(Path(home)), Folder(Path(project))).backend()
    async with running(backend):
        await backend.start(order(id))
        await observed(backend, id, Phase.READY)
        if moment == "acting":
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(1))
            loop.run_in_executor(None, time.sleep, 1)  # a disk that is busy: what is written now takes long
            Path(project, "operator.pid").write_text(str(os.getpid()))
        await backend.stop(id, grace=10)
        if moment == "returned":
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""

FATAL_SERVER = """
import os, pathlib, signal, sys

def told(number, frame):
    note = pathlib.Path({note!r})
    if note.exists():
        operator = int(note.read_text())
        note.unlink()
        os.kill(operator, signal.SIGKILL)
    os._exit(0)

signal.signal(signal.SIGTERM, told)
"""
"""As soon as it has to stop, it kills the operator."""


@pytest.fixture
def world() -> Iterator[LocalWorld]:
    with local_world(LocalSettings(backoff=Backoff(0.1, 1.0), kill_margin=0.5, reread=0.5)) as made:
        yield made


@pytest.mark.parametrize("moment", ["acting", "returned"])
async def test_a_stopped_replica_does_not_come_back_when_the_operator_is_killed(
    world: LocalWorld, moment: str
) -> None:
    server = world.project / "server.py"
    server.write_text(FATAL_SERVER.format(note=str(world.project / "operator.pid")) + server.read_text())
    assert await stopped_and_killed(world, moment) == -signal.SIGKILL
    backend = world.backend()
    async with running(backend):
        assert await first_of(ends(backend), comes_back(backend)) == "ends"


async def stopped_and_killed(world: LocalWorld, moment: str) -> int:
    """Have an operator start a replica, stop it and be killed at this moment. Returns its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OPERATOR, str(world.home.root), str(world.project), ID, moment),
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    return await process.wait()


async def ends(backend: LocalBackend) -> str:
    await gone(backend, ID)
    return "ends"


async def comes_back(backend: LocalBackend) -> str:
    await observed(backend, ID, Phase.READY)
    return "comes back"
