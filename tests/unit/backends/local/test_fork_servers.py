"""Expected APIs have a fork server, and replicas are its forks; none is missing or double after a death."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gyrus.aio.backoff import Backoff
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.local.fork_server_process import ForkServerFolder
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.local.supervisor_process import find_supervisors
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.home import Home
from gyrus.contract.operator import ForkServerView
from gyrus.contract.replica import Phase, ReplicaStatus, StartKind
from gyrus.spec.realtime import RealtimeSpec
from support.backends import LocalWorld, all_of, gone, local_world, observed, order_of, running, until
from support.looking import has_ended
from support.looking import until as looked

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")]

SETTINGS = LocalSettings(backoff=Backoff(0.1, 1.0), kill_margin=0.5, reread=0.5)
HANDLER = "import os\nclass Handler:\n    def predict(self, payload): return os.getpid()\n"


@pytest.fixture
def world() -> Iterator[LocalWorld]:
    with local_world(SETTINGS) as made:
        (made.project / "handler.py").write_text(HANDLER)
        yield made


def order(number: int = 0, *, revision: int = 1, gpu: int = 0, warm_start: str = "module") -> ReplicaOrder:
    handler = {"path": "handler.py", "warm_start": warm_start, "config": {"revision": revision}}
    spec = RealtimeSpec.model_validate({"name": "iris", "handler": handler, "compute": {"gpu": gpu}})
    return order_of(spec, id=f"iris-{revision}-{number:05}", generation=revision)


async def fork_server(home: Home, revision: int = 1) -> int:
    """Return the fork server's pid, once it is warm."""
    folder = ForkServerFolder(home.fork_servers / f"iris-{revision}")

    def is_warm() -> bool:
        """The file of one that was killed stays until the next begins, and its number until it is reaped."""
        status = folder.status()
        return status is not None and status.phase is ForkServerPhase.READY and alive(status.pid)

    await looked(is_warm)
    status = folder.status()
    assert status
    return status.pid


def view(backend: LocalBackend) -> ForkServerView:
    found = backend.fork_server("iris")
    assert found
    return found


async def started(backend: LocalBackend, wanted: ReplicaOrder) -> ReplicaStatus:
    await backend.start(wanted)
    return (await observed(backend, wanted.id, Phase.READY)).status


async def warm(backend: LocalBackend, number: int = 0) -> ReplicaStatus:
    """Order a replica that is a fork; the fork server may only just be known."""
    while True:
        status = await started(backend, order(number))
        if status.start is StartKind.WARM:
            return status
        assert status.cold_because
        await backend.stop(order(number).id, grace=1)
        await gone(backend, order(number).id)


def alive(pid: int) -> bool:
    return not has_ended(pid)


async def test_what_is_expected_starts_as_a_fork(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        pid = await fork_server(world.home)
        status = await warm(backend)
        assert view(backend).phase is ForkServerPhase.READY
        assert view(backend).memory > 10_000_000
        assert status.pid
        assert psutil.Process(status.pid).ppid() == pid
        await backend.stop(order().id, grace=10)
        await gone(backend, order().id)
        assert not alive(status.pid)
        await backend.expect_no_orders()
        assert not alive(pid)
    assert not list(world.home.fork_servers.iterdir())
    assert not list(world.home.replicas.iterdir())
    assert not list(world.home.run.iterdir())


async def test_another_revision_takes_the_place(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        first = await fork_server(world.home)
        backend.expect("iris", replace(order(), generation=7))  # the same revision, rolled out again
        backend.expect("iris", order(revision=2))
        await looked(lambda: not alive(first))
        second = await fork_server(world.home, 2)
        backend.expect("iris", None)
        await looked(lambda: not alive(second))
        await looked(lambda: not list(world.home.fork_servers.iterdir()))


async def test_an_order_after_a_cancelled_one_is_served(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        await fork_server(world.home)
        backend.expect("iris", None)
        backend.expect("iris", order())
        await until(backend, lambda: view(backend).phase is ForkServerPhase.READY)
        await warm(backend)


async def test_two_changes_at_once_keep_the_fork_server(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        first = await fork_server(world.home)
        backend.expect("iris", order(revision=2))
        backend.expect("iris", order())
        await warm(backend)
        assert alive(first)
        assert not (world.home.fork_servers / "iris-2").exists()


async def test_the_end_may_come_while_something_is_cleared_away(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def clear(folder: ForkServerFolder) -> None:
        begun.set()
        may_end.wait(5)

    monkeypatch.setattr(ForkServerFolder, "clear", clear)
    (world.home.fork_servers / "iris-1").mkdir(parents=True)
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order(gpu=1))
        backend.expect("other", None)
        await looked(begun.is_set)
        end = asyncio.create_task(backend.expect_no_orders())
        await asyncio.sleep(0)
        may_end.set()
        await asyncio.wait_for(end, 5)


async def test_an_api_that_is_removed_leaves_no_fork_server(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        pid = await fork_server(world.home)
        await backend.remove("iris")
        await looked(lambda: not alive(pid))


async def test_a_fork_server_that_is_killed_is_started_again(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        pid = await fork_server(world.home)
        status = await warm(backend)
        os.kill(pid, signal.SIGKILL)
        await looked(lambda: not alive(pid))
        assert all_of(backend)[order().id].status.phase is Phase.READY
        assert status.pid
        assert alive(status.pid)
        assert await fork_server(world.home) != pid
        await warm(backend, 1)


async def test_a_start_without_a_fork_server_is_cold_and_reports_why(
    world: LocalWorld, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waiting = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    (world.project / "handler.py").write_text(waiting + HANDLER)
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        await backend.start(order())
        await observed(backend, order().id, Phase.STARTING)
        go.touch()
        status = (await observed(backend, order().id, Phase.READY)).status
        assert status.start is StartKind.COLD
        assert status.cold_because == "the fork server had not loaded the handler yet"


async def test_what_cannot_have_a_fork_server_starts_cold_and_reports_why(world: LocalWorld) -> None:
    threaded = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n"
    )
    (world.project / "handler.py").write_text(threaded + HANDLER)
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        await until(backend, lambda: view(backend).phase is ForkServerPhase.IMPOSSIBLE)
        status = await started(backend, order())
        assert status.start is StartKind.COLD
        assert status.cold_because.startswith("importing handler.py started 1 thread: Thread-1")


async def test_gpus_and_forks_do_not_go_together(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order(gpu=1))
        assert view(backend).phase is ForkServerPhase.IMPOSSIBLE
        assert view(backend).because == "CUDA does not survive a fork, and it has a GPU"
    assert not list(world.home.fork_servers.iterdir())


async def test_no_fork_server_runs_without_need(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order(warm_start="off"))
        status = await started(backend, order(warm_start="off"))
        assert (status.start, status.cold_because) == (StartKind.COLD, "")
    assert not list(world.home.fork_servers.iterdir())


async def test_the_next_operator_finds_fork_servers_and_forks(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        first.expect("iris", order())
        pid = await fork_server(world.home)
        supervisor = (await warm(first)).pid
    second = world.backend()
    async with running(second):
        status = all_of(second)[order().id].status
        assert (status.phase, status.pid, status.start) == (Phase.READY, supervisor, StartKind.WARM)
        second.expect("iris", order())
        await warm(second, 1)
        assert await fork_server(world.home) == pid
        assert len(ForkServerFolder(world.home.fork_servers / "iris-1").processes()) == 1


async def test_the_next_operator_ends_fork_servers_without_an_api(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        first.expect("iris", order())
        pid = await fork_server(world.home)
    second = world.backend()
    async with running(second):
        second.expect("iris", order(revision=2))
        await looked(lambda: not alive(pid))
        other = await fork_server(world.home, 2)
    third = world.backend()
    async with running(third):
        await third.expect_no_orders()
        assert not alive(other)


async def test_a_fork_without_a_note_is_found(world: LocalWorld) -> None:
    """The operator died between the order and its note."""
    first = world.backend()
    async with running(first):
        first.expect("iris", order())
        await fork_server(world.home)
        supervisor = (await warm(first)).pid
    (world.home.replicas / order().id / "launch.json").unlink()
    assert find_supervisors()[str(world.home.replicas / order().id / "config.json")] == [supervisor]
    second = world.backend()
    async with running(second):
        assert (await observed(second, order().id, Phase.READY)).status.pid == supervisor


@pytest.mark.parametrize("victim", ["supervisor", "worker"])
async def test_a_fork_that_is_killed_comes_back(world: LocalWorld, victim: str) -> None:
    backend = world.backend()
    async with running(backend):
        backend.expect("iris", order())
        await fork_server(world.home)
        status = await warm(backend)
        pid = status.pid if victim == "supervisor" else status.processes[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await until(backend, lambda: all_of(backend)[order().id].status.restarts == 1)
        again = (await observed(backend, order().id, Phase.READY)).status
        assert again.start is StartKind.WARM
        assert not alive(pid)
