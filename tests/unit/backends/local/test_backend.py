"""What the local backend does beyond the promises of all backends: real processes, killed in every way."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gyrus.aio.backoff import Backoff
from gyrus.backends.local import supervisor_process
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.local.configuration import NOTIFY_SOCKET
from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder, StopRecord
from gyrus.backends.local.settings import LocalSettings
from gyrus.contract.operator import LogQuery
from gyrus.contract.replica import Phase, Reason, ReplicaStatus
from support.backends import (
    LocalWorld,
    all_of,
    gone,
    local_world,
    observed,
    order,
    running,
    running_once,
    until,
)
from support.looking import has_ended
from support.looking import until as looked

pytestmark = pytest.mark.processes

ID = "iris-1-aaaaa"
SETTINGS = LocalSettings(backoff=Backoff(0.1, 1.0), kill_margin=0.5, reread=0.5)
STUBBORN = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.fixture
def world() -> Iterator[LocalWorld]:
    with local_world(SETTINGS) as made:
        yield made


def members(group: int) -> set[int]:
    """Living processes of a process group."""
    found: set[int] = set()
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except (psutil.Error, ProcessLookupError):
            continue
    return found


async def ready(backend: LocalBackend, id: str = ID) -> ReplicaStatus:
    return (await observed(backend, id, Phase.READY)).status


def leader(status: ReplicaStatus) -> int:
    assert status.pid
    return status.pid


async def test_a_replica_is_a_group_of_its_own_and_leaves_nothing(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        status = await ready(backend)
        group = leader(status)
        assert os.getsid(group) == group != os.getsid(0)
        assert len(members(group)) == 2
        await backend.stop(ID, grace=10)
        await gone(backend, ID)
        await looked(lambda: not members(group))
    assert not list(world.home.replicas.iterdir())
    assert not list(world.home.run.iterdir())


async def test_the_sockets_folder_is_ours_alone(world: LocalWorld) -> None:
    await world.backend().adopt()
    assert stat.S_IMODE(world.home.run.stat().st_mode) == 0o700


async def test_a_sockets_folder_of_another_user_is_refused(world: LocalWorld, tmp_path: Path) -> None:
    world.home.run.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="belongs to another user; remove it"):
        await world.backend().adopt()


async def test_a_supervisor_that_dies_is_replaced_and_its_processes_are_ended(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        group = leader(await ready(backend))
        os.kill(group, signal.SIGKILL)
        died = (await observed(backend, ID, Phase.BACKOFF)).status
        assert died.reason is Reason.SUPERVISOR_DIED
        assert died.message == "its supervisor was killed by SIGKILL"
        assert died.endpoints == ()
        assert died.retry_at
        again = await ready(backend)
        assert again.restarts == 1
        assert leader(again) != group
        assert not members(group)


async def test_an_adopted_supervisor_is_watched_too(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        group = leader(await ready(first))
    second = world.backend()
    async with running(second):
        assert all_of(second)[ID].status.phase is Phase.READY
        os.kill(group, signal.SIGKILL)
        await observed(second, ID, Phase.BACKOFF)
        assert (await ready(second)).restarts == 1


async def test_without_pidfd_death_is_noticed_too(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(supervisor_process, "POLL", 0.1)
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        os.kill(leader(await ready(backend)), signal.SIGKILL)
        await observed(backend, ID, Phase.BACKOFF)
        await ready(backend)
        await backend.stop(ID, grace=10)
        await gone(backend, ID)


async def test_a_replica_that_died_unseen_is_started_again(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        group = leader(await ready(first))
    os.kill(group, signal.SIGKILL)
    await looked(
        lambda: not supervisor_process.is_supervisor(group, world.home.replicas / ID / "config.json")
    )
    second = world.backend()
    await second.adopt()
    assert all_of(second)[ID].status.phase is Phase.PENDING
    async with running(second):
        assert leader(await ready(second)) != group
        assert not members(group)


async def test_a_supervisor_launched_just_before_the_operator_died_is_found(world: LocalWorld) -> None:
    """The operator had no time to write down its pid, nor the supervisor to report anything."""
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        group = leader(await ready(first))
    folder = ReplicaFolder(world.home.replicas / ID)
    folder.note(LaunchRecord())
    (folder.path / "status.json").unlink()
    second = world.backend()
    await second.adopt()
    assert all_of(second)[ID].status.phase is Phase.STARTING
    async with running(second):
        await second.stop(ID, grace=10)
        await gone(second, ID)
    assert not members(group)


async def test_a_stop_is_not_forgotten_when_the_operator_dies(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        await ready(first)
    ReplicaFolder(world.home.replicas / ID).mark_stopped(StopRecord(0.0))
    second = world.backend()
    await second.adopt()
    assert all_of(second)[ID].status.phase is Phase.DRAINING
    async with running(second):
        await gone(second, ID)


async def test_a_folder_that_was_removed_by_half_stays_dead(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        group = leader(await ready(first))
    (world.home.replicas / ID / "order.json").unlink()
    second = world.backend()
    await second.adopt()
    assert not all_of(second)
    assert not (world.home.replicas / ID).exists()
    await looked(lambda: not members(group))


@pytest.mark.parametrize("content", [b"", b"{"])
async def test_a_damaged_order_ends_no_healthy_replica(
    world: LocalWorld, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        before = await ready(first)
    damaged = world.home.replicas / ID / "order.json"
    damaged.write_bytes(content)
    second = world.backend()
    await second.adopt()
    found = second.observe("iris")[ID]
    assert (found.generation, found.status) == (1, before)
    assert f"its order {damaged} cannot be read" in caplog.text
    assert "replace it with gyrus refresh iris" in caplog.text
    async with running(second):
        await until(second, lambda: second.observe("iris")[ID].status.reason is Reason.ORDER)
        shown = second.observe("iris")[ID].status
        assert (shown.phase, shown.endpoints) == (Phase.READY, before.endpoints)
        assert leader(shown) == leader(before)


async def test_a_replica_with_a_damaged_order_fails_when_it_ends(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID))
        group = leader(await ready(first))
    (world.home.replicas / ID / "order.json").write_text("{")
    second = world.backend()
    async with running(second):
        os.kill(group, signal.SIGKILL)
        failed = (await observed(second, ID, Phase.FAILED)).status
        assert failed.reason is Reason.SUPERVISOR_DIED
        assert "cannot be started again: its order" in failed.message
        assert not second.capacity().replicas


async def test_a_damaged_order_of_one_that_does_not_run_is_removed(
    world: LocalWorld, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ReplicaFolder(world.home.replicas / ID)
    folder.create(order(ID))
    (folder.path / "order.json").write_text("{")
    second = world.backend()
    await second.adopt()
    assert not all_of(second)
    assert not folder.path.exists()
    assert f"Removing replica {ID}, which does not run: its order" in caplog.text


async def test_one_that_runs_once_does_not_run_again_after_its_order_is_damaged(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(running_once(ID, "python", "-c", "print('runs', flush=True)"))
        await observed(first, ID, Phase.SUCCEEDED)
    (world.home.replicas / ID / "order.json").write_text("{")
    second = world.backend()
    async with running(second):
        await observed(second, ID, Phase.SUCCEEDED)
    log = world.home.replica_logs / "iris" / ID / "replica.log"
    assert log.read_text().count('"message":"runs"') == 1


WAITING = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)"


async def test_one_that_runs_once_goes_on_under_the_next_operator(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(running_once(ID, "python", "-c", WAITING))
        before = await ready(first)
    second = world.backend()
    async with running(second):
        assert leader(second.observe("iris")[ID].status) == leader(before)
        (world.home.replicas / ID / "work" / "0" / "go").write_text("")
        done = (await observed(second, ID, Phase.SUCCEEDED)).status
        assert (done.restarts, done.exit_code) == (0, 0)


async def test_one_that_ended_while_no_operator_ran_has_succeeded(world: LocalWorld) -> None:
    first = world.backend()
    async with running(first):
        await first.start(running_once(ID, "python", "-c", WAITING))
        group = leader(await ready(first))
    (world.home.replicas / ID / "work" / "0" / "go").write_text("")
    await looked(lambda: has_ended(group))
    second = world.backend()
    await second.adopt()
    assert second.observe("iris")[ID].status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("operator", ["watches", "is away"])
async def test_one_that_runs_once_never_runs_twice(world: LocalWorld, operator: str) -> None:
    """Not even where its supervisor is killed, and nothing is known of how far it came."""
    command = ("python", "-c", f"print('runs', flush=True)\n{WAITING}")
    first = world.backend()
    async with running(first):
        await first.start(running_once(ID, *command))
        group = leader(await ready(first))
        log = world.home.replica_logs / "iris" / ID / "replica.log"
        await looked(lambda: '"message":"runs"' in log.read_text())
        if operator == "watches":
            os.kill(group, signal.SIGKILL)
            failed = (await observed(first, ID, Phase.FAILED)).status
    if operator == "is away":
        os.kill(group, signal.SIGKILL)
        config_file = world.home.replicas / ID / "config.json"
        await looked(lambda: not supervisor_process.is_supervisor(group, config_file))
    second = world.backend()
    async with running(second):
        failed = (await observed(second, ID, Phase.FAILED)).status
        assert (failed.reason, failed.restarts) == (Reason.SUPERVISOR_DIED, 0)
        assert failed.message.endswith("before it reported how the replica ended")
        assert not second.capacity().replicas
        await looked(lambda: not members(group))
        await second.stop(ID, grace=10)
        await gone(second, ID)
    assert log.read_text().count('"message":"runs"') == 1


async def test_one_that_does_not_drain_is_killed_after_its_grace(world: LocalWorld) -> None:
    (world.project / "server.py").write_text(STUBBORN + (world.project / "server.py").read_text())
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        group = leader(await ready(backend))
        await backend.stop(ID, grace=0.2)
        await gone(backend, ID)
        await looked(lambda: not members(group))


async def test_a_second_stop_may_hasten_the_end(world: LocalWorld) -> None:
    (world.project / "server.py").write_text(STUBBORN + (world.project / "server.py").read_text())
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await ready(backend)
        await backend.stop(ID, grace=600)
        await backend.stop(ID, grace=0)
        await gone(backend, ID)


async def test_it_can_be_stopped_while_its_environment_is_built(world: LocalWorld) -> None:
    package = world.project / "endless"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "endless"\nbackend-path = ["."]\n'
    )
    (package / "endless.py").write_text("import time\ntime.sleep(600)\n")
    (world.project / "requirements.txt").write_text("./endless\n")
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await until(backend, lambda: all_of(backend)[ID].status.message == "resolving dependencies")
        assert all_of(backend)[ID].status.phase is Phase.BUILDING
        await backend.stop(ID, grace=600)
        await gone(backend, ID)


async def test_an_environment_that_cannot_be_built_reports_why(world: LocalWorld) -> None:
    (world.project / "requirements.txt").write_text("foo bar baz\n")
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        status = (await observed(backend, ID, Phase.FAILED)).status
    assert status.reason is Reason.DEPENDENCIES
    assert status.message.startswith("installing requirements.txt failed: Couldn't parse requirement")
    assert any("foo bar baz" in line for line in status.last_lines)


async def test_a_project_that_cannot_be_had_reports_why(world: LocalWorld) -> None:
    world.packages.fault = OSError("no archive d9")
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID, package="d9"))
        status = (await observed(backend, ID, Phase.FAILED)).status
    assert (status.reason, status.message) == (
        Reason.PACKAGE,
        "the project could not be unpacked: no archive d9",
    )


async def test_more_gpus_than_there_are_is_reported_at_once(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID, compute={"gpu": 2}))
        status = (await observed(backend, ID, Phase.FAILED)).status
    assert status.reason is Reason.UNSCHEDULABLE
    assert status.message == (
        "compute.gpu is 2, and this machine has none; request fewer, or deploy to a machine with more"
    )


async def test_gpus_are_assigned_waited_for_and_kept_over_a_restart(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    (world.project / "server.py").write_text(
        "import os\nprint(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)\n"
        + (world.project / "server.py").read_text()
    )
    other = "iris-1-bbbbb"
    first = world.backend()
    async with running(first):
        await first.start(order(ID, compute={"gpu": 2}))
        await ready(first)
    second = world.backend()
    async with running(second):
        await second.start(order(other, compute={"gpu": 1}))
        await until(second, lambda: all_of(second)[other].status.reason is Reason.CAPACITY)
        status = all_of(second)[other].status
        assert (status.phase, status.message) == (
            Phase.PENDING,
            "waiting for capacity: needs 1 GPU, 0 of 2 free (1 replica of iris holds 2)",
        )
        await second.stop(ID, grace=10)
        await ready(second, other)
        printed = [line async for line in second.logs(LogQuery(api="iris"))]
        assert [line.message for line in printed if line.stream == "stdout"] == ["3,4", "3"]
        await second.stop(other, grace=10)
        await gone(second, other)


async def test_what_failed_for_good_holds_nothing_not_even_for_the_next_operator(world: LocalWorld) -> None:
    """Neither where it could not be launched nor where its supervisor continues to report it."""
    unlaunched, reported = "unlaunched-1-aaaaa", "told-1-aaaaa"
    first = world.backend(cores=0.2)
    async with running(first):
        await first.start(order(unlaunched, process={"command": ["python"], "requirements": "missing.txt"}))
        await observed(first, unlaunched, Phase.FAILED)
        await first.start(order(reported, process={"command": ["no-such-program"]}))
        await observed(first, reported, Phase.FAILED)
        await until(first, lambda: not first.capacity().replicas)
    second = world.backend(cores=0.2)
    async with running(second):
        assert not second.capacity().replicas
        await second.start(order(ID))
        await ready(second)


async def test_a_replica_that_restarts_keeps_its_share(world: LocalWorld) -> None:
    backend = world.backend(cores=0.2)
    async with running(backend):
        await backend.start(order(ID))
        before = await ready(backend)
        await backend.start(order("wine-1-aaaaa"))
        await until(backend, lambda: backend.capacity().replicas_waiting == 1)
        os.kill(leader(before), signal.SIGKILL)
        await until(backend, lambda: all_of(backend)[ID].status.restarts == 1)
        await ready(backend)
        assert all_of(backend)["wine-1-aaaaa"].status.reason is Reason.CAPACITY


async def test_a_waiting_replica_keeps_its_place_for_the_next_operator(world: LocalWorld) -> None:
    first = world.backend(cores=0.2)
    async with running(first):
        await first.start(order(ID))
        await ready(first)
        for id in ("wine-1-zzzzz", "flat-1-aaaaa"):
            await first.start(order(id))
            await until(first, lambda id=id: all_of(first)[id].status.reason is Reason.CAPACITY)
    second = world.backend(cores=0.2)
    async with running(second):
        await until(second, lambda: second.capacity().replicas_waiting == 2)
        await second.stop(ID, grace=10)
        await ready(second, "wine-1-zzzzz")
        assert "kept for" not in all_of(second)["flat-1-aaaaa"].status.message


async def test_only_so_many_start_at_once(world: LocalWorld) -> None:
    world.settings = replace(SETTINGS, starting_at_once=1)
    backend = world.backend()
    ids = [f"iris-1-aaaa{n}" for n in range(4)]
    starting: set[int] = set()
    messages: set[str] = set()

    async with running(backend):
        with backend.changes.listen() as changes:
            for id in ids:
                await backend.start(order(id))
            while not all(o.status.phase is Phase.READY for o in all_of(backend).values()):
                await changes.wait()
                phases = [o.status.phase for o in all_of(backend).values()]
                starting.add(phases.count(Phase.STARTING))
                messages.update(o.status.message for o in all_of(backend).values())
        for id in ids:
            await backend.stop(id, grace=10)
            await gone(backend, id)
    assert max(starting) == 1
    assert "waiting to start (2 before it)" in messages


async def test_it_goes_on_when_the_disk_fails_it_for_a_while(world: LocalWorld) -> None:
    """A folder stands where the configuration should be written."""
    backend = world.backend()
    obstacle = world.home.replicas / ID / "config.json"
    async with running(backend):
        await backend.adopt()
        ReplicaFolder(obstacle.parent).create(order(ID))
        obstacle.mkdir()
        await backend.start(order(ID))
        status = (await observed(backend, ID, Phase.BACKOFF)).status
        assert status.reason is Reason.SUPERVISOR_DIED
        assert status.message.startswith("its supervisor could not be started: [Errno 21] Is a directory")
        obstacle.rmdir()
        assert (await ready(backend)).restarts >= 1


async def test_an_environment_that_was_deleted_is_built_again(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        group = leader(await ready(backend))
        shutil.rmtree(world.home.python_environments)
        os.kill(group, signal.SIGKILL)
        await observed(backend, ID, Phase.BACKOFF)
        await ready(backend)


async def test_packages_in_use_are_not_forgotten(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID, package="used"))
        await backend.forget_packages(frozenset({"used", "unused"}))
    assert world.packages.forgotten == {"unused"}


async def test_only_logs_of_the_latest_replicas_are_kept(world: LocalWorld) -> None:
    world.settings = replace(SETTINGS, gone_logs=2)
    backend = world.backend()
    async with running(backend):
        for number in range(4):
            await backend.start(order(f"iris-1-aaaa{number}"))
            await ready(backend, f"iris-1-aaaa{number}")
            await backend.stop(f"iris-1-aaaa{number}", grace=10)
            await gone(backend, f"iris-1-aaaa{number}")
        logs = world.home.replica_logs / "iris"
        await looked(lambda: sorted(path.name for path in logs.iterdir()) == ["iris-1-aaaa2", "iris-1-aaaa3"])


async def test_unknown_notices_do_no_harm(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await ready(backend)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for datagram in (b"", b"\xff\xfe", b"nobody-1-aaaaa", ID.encode()):
                sender.sendto(datagram, str(world.home.run / NOTIFY_SOCKET))
        await backend.stop(ID, grace=10)
        await gone(backend, ID)


async def test_cut_off_at_any_moment_it_leaves_a_replica_that_can_be_adopted(world: LocalWorld) -> None:
    """As kill -9 of the operator would, after ever more turns of the event loop."""
    for starts in (0, 1, 3, 10, 30, 100, 300):
        backend = world.backend()
        id = f"iris-1-aa{starts:03}"
        async with running(backend):
            await backend.start(order(id))
            for _ in range(starts):
                await asyncio.sleep(0.001)
        again = world.backend()
        async with running(again):
            await ready(again, id)
            await again.stop(id, grace=10)
            await gone(again, id)
    assert not supervisor_process.find_supervisors().keys() & {
        str(path) for path in world.home.replicas.glob("*/config.json")
    }


async def test_one_that_runs_once_is_launched_again_only_where_it_was_not_launched(world: LocalWorld) -> None:
    """A folder stands where its configuration should be written."""
    backend = world.backend()
    obstacle = world.home.replicas / ID / "config.json"
    async with running(backend):
        obstacle.mkdir(parents=True)
        await backend.start(running_once(ID, "python", "-c", "print('runs', flush=True)"))
        await observed(backend, ID, Phase.BACKOFF)
        obstacle.rmdir()
        done = (await observed(backend, ID, Phase.SUCCEEDED)).status
    assert done.exit_code == 0
