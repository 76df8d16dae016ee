"""Lost and damaged files, errors of the system and impostors do not end replicas, nor the backend."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.backends.local import backend as backend_module
from gyrus.backends.local import supervisor_process
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder
from gyrus.backends.local.identification import identify
from gyrus.backends.local.settings import LocalSettings
from gyrus.contract.replica import LOCK_FILE, Phase, ReplicaStatus
from support.backends import LocalWorld, all_of, gone, local_world, observed, order, running
from support.looking import has_ended
from support.looking import until as looked

pytestmark = pytest.mark.processes

ID, OTHER = "iris-1-aaaaa", "iris-1-bbbbb"
SETTINGS = LocalSettings(backoff=Backoff(0.1, 0.5), kill_margin=0.5, reread=0.2)
ANOTHER_USER = 54321


@pytest.fixture
def world() -> Iterator[LocalWorld]:
    with local_world(SETTINGS) as made:
        yield made


async def ready(backend: LocalBackend, id: str = ID) -> ReplicaStatus:
    return (await observed(backend, id, Phase.READY)).status


def folder_of(world: LocalWorld, id: str = ID) -> ReplicaFolder:
    return ReplicaFolder(world.home.replicas / id)


async def started(world: LocalWorld, id: str = ID) -> int:
    """Start a replica under an operator that then ends. Returns the supervisor's pid."""
    backend = world.backend()
    async with running(backend):
        await backend.start(order(id))
        pid = (await ready(backend, id)).pid
    assert pid
    return pid


# Derived state

DAMAGES: dict[str, Callable[[Path], object]] = {
    "lost": lambda file: file.unlink(),
    "truncated": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[:40]),
    "not JSON": lambda file: file.write_bytes(os.urandom(200)),
    "another document": lambda file: file.write_text('{"id": 1}'),
    "of another replica": lambda file: file.write_text(file.read_text().replace(ID, "iris-1-zzzzz")),
}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("status.json", damage) for damage in DAMAGES),
        *((name, damage) for name in ("launch.json", "config.json") for damage in ("lost", "half")),
    ],
)
async def test_a_replica_is_adopted_with_damaged_files(world: LocalWorld, name: str, damage: str) -> None:
    pid = await started(world)
    DAMAGES[damage](folder_of(world).path / name)
    second = world.backend()
    async with running(second):
        assert (await ready(second)).pid == pid
        await second.stop(ID, grace=10)
        await gone(second, ID)
    assert not list(world.home.replicas.iterdir())


async def test_all_derived_files_may_be_lost_at_once(world: LocalWorld) -> None:
    pid = await started(world)
    for name in ("status.json", "launch.json", "config.json", "supervisor.err"):
        (folder_of(world).path / name).unlink(missing_ok=True)
    second = world.backend()
    async with running(second):
        assert (await ready(second)).pid == pid


async def test_a_status_that_is_damaged_under_the_operator_is_written_again(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        before = await ready(backend)
        folder_of(world).path.joinpath("status.json").write_text("{")
        await looked(lambda: folder_of(world).status() == before)


async def test_a_worker_restarts_with_a_damaged_configuration(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        before = await ready(backend)
        config = folder_of(world).config()
        folder_of(world).config_file.write_text("{")
        pid = before.processes[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await looked(lambda: folder_of(world).config() == config)
        await looked(lambda: all_of(backend)[ID].status.restarts == 1)
        await ready(backend)


async def test_a_supervisor_that_never_reports_is_replaced(world: LocalWorld) -> None:
    """As one of an earlier version, which does not write a lost file again."""
    world.settings = replace(SETTINGS, unreported=0.5)
    pid = await started(world)
    os.kill(pid, signal.SIGSTOP)
    (folder_of(world).path / "status.json").unlink()
    second = world.backend()
    async with running(second):
        assert (await ready(second)).pid != pid


async def test_a_lost_launch_keeps_its_share_of_the_machine(world: LocalWorld) -> None:
    await started(world)
    compute = order(OTHER).workload.compute
    (folder_of(world).path / "launch.json").unlink()
    second, empty = world.backend(cores=2), world.backend(cores=2)
    await second.adopt()
    shutil.rmtree(folder_of(world).path)
    await empty.adopt()
    held, free = second.capacity_for("other", compute), empty.capacity_for("other", compute)
    assert held is not None
    assert free is not None
    assert held == free - 1


# Errors of the system


@contextmanager
def failing(patch: pytest.MonkeyPatch, place: object, name: str, times: int, code: int) -> Generator[None]:
    """Let a function raise OSError so many times."""
    real: Callable[..., Any] = getattr(place, name)
    left = [times]

    def fails(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    with patch.context() as context:
        context.setattr(place, name, fails)
        yield


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("kill_leftovers", errno.EMFILE),
        ("remove_run_files", errno.EACCES),
        ("forget_gone", errno.EIO),
        ("remove", errno.EIO),
        ("remove", errno.ENOSPC),
        ("status", errno.EMFILE),
    ],
)
async def test_an_error_of_the_system_ends_nothing(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    from gyrus.backends.local import ending

    places = {"forget_gone": backend_module, "remove": ReplicaFolder, "status": ReplicaFolder}
    backend = world.backend()
    async with running(backend):
        for id in (ID, OTHER):
            await backend.start(order(id))
        other = await ready(backend, OTHER)
        await ready(backend, ID)
        with failing(monkeypatch, places.get(name, ending), name, 2, code):
            await backend.stop(ID, grace=10)
            await gone(backend, ID)
        assert (await ready(backend, OTHER)).pid == other.pid
    assert [path.name for path in world.home.replicas.iterdir()] == [OTHER]


async def test_a_watch_that_fails_does_not_withdraw_a_running_replica(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        before = await ready(backend)
        seen: set[Phase] = set()
        with failing(monkeypatch, ReplicaFolder, "status", 3, errno.EMFILE):
            for _ in range(30):
                seen.add(all_of(backend)[ID].status.phase)
                await asyncio.sleep(0.05)
        assert seen == {Phase.READY}
        assert (await ready(backend)).pid == before.pid


async def test_what_cannot_be_removed_is_left_to_the_next_operator(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.settings = replace(SETTINGS, removals=2)
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await ready(backend)
        with failing(monkeypatch, ReplicaFolder, "remove", 2, errno.EIO):
            await backend.stop(ID, grace=10)
            await gone(backend, ID)
    second = world.backend()
    async with running(second):
        await gone(second, ID)
    assert not list(world.home.replicas.iterdir())


async def test_a_folder_that_cannot_be_adopted_does_not_stop_the_others(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = world.backend()
    async with running(backend):
        for id in (ID, OTHER):
            await backend.start(order(id))
            await ready(backend, id)
    real = supervisor_process.lock_holder

    def fails(config_file: Path) -> int | None:
        if ID in str(config_file):
            raise OSError(errno.EIO, "broken")
        return real(config_file)

    monkeypatch.setattr("gyrus.backends.local.identification.lock_holder", fails)
    second = world.backend()
    async with running(second):
        await ready(second, OTHER)
        assert ID not in all_of(second)


# Impostors


@contextmanager
def impostor(config_file: Path, *, user: int | None = None) -> Generator[subprocess.Popen[bytes]]:
    """A process with the command line of a supervisor."""
    command = ("sh", "-c", "sleep 600; true", "-m", "gyrus.runtime.supervisor", str(config_file))
    process = subprocess.Popen(command, start_new_session=True, user=user, cwd="/")
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def killed(world: LocalWorld) -> None:
    """Leave a replica whose supervisor was killed."""
    pid = await started(world)
    os.kill(pid, signal.SIGKILL)
    await looked(lambda: has_ended(pid))


USERS = [
    None,
    pytest.param(ANOTHER_USER, marks=pytest.mark.skipif(os.getuid() != 0, reason="needs root")),
]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("earlier", [False, True], ids=["today's", "an earlier version's"])
async def test_an_impostor_is_neither_adopted_nor_signalled(
    world: LocalWorld, user: int | None, earlier: bool
) -> None:
    await killed(world)
    folder = folder_of(world)
    if earlier:
        (folder.path / LOCK_FILE).unlink()
    with impostor(folder.config_file, user=user) as process:
        second = world.backend()
        async with running(second):
            status = await ready(second)
            assert status.pid != process.pid
            await second.stop(ID, grace=10)
            await gone(second, ID)
        assert process.poll() is None


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
async def test_another_users_process_with_the_recorded_pid_is_not_adopted(world: LocalWorld) -> None:
    """As after a reboot, when the pid on record has become another user's."""
    await killed(world)
    folder = folder_of(world)
    (folder.path / LOCK_FILE).unlink()
    (folder.path / "status.json").unlink()
    with impostor(folder.config_file, user=ANOTHER_USER) as process:
        folder.note(LaunchRecord(pid=process.pid))
        assert identify(folder, [process.pid]) is None
        second = world.backend()
        async with running(second):
            assert (await ready(second)).pid != process.pid
        assert process.poll() is None


async def test_a_recycled_pid_is_not_signalled(world: LocalWorld) -> None:
    """A supervisor that has ended under the operator, and whose pid has another start time since."""
    await killed(world)
    folder = folder_of(world)
    with impostor(folder.config_file) as process:
        supervisor = supervisor_process.SupervisorProcess(process.pid, folder.config_file)
        assert supervisor.alive  # as if it had just been launched
        supervisor._started = 1.0  # pyright: ignore[reportPrivateUsage] -- no pid can be recycled at will
        assert not supervisor.alive
        supervisor.terminate()
        supervisor.kill()
        assert process.poll() is None


async def test_an_impostor_beside_the_real_one_changes_nothing(world: LocalWorld) -> None:
    pid = await started(world)
    with impostor(folder_of(world).config_file):
        second = world.backend()
        async with running(second):
            assert (await ready(second)).pid == pid


async def test_a_supervisor_of_an_earlier_version_is_adopted(world: LocalWorld) -> None:
    pid = await started(world)
    (folder_of(world).path / LOCK_FILE).unlink()  # it never had one
    second = world.backend()
    async with running(second):
        assert (await ready(second)).pid == pid
        await second.stop(ID, grace=10)
        await gone(second, ID)


async def test_no_second_supervisor_runs_in_a_folder(world: LocalWorld) -> None:
    pid = await started(world)
    config = folder_of(world).config()
    assert config
    command = (config.python, "-I", "-m", "gyrus.runtime.supervisor", str(folder_of(world).config_file))
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert second.returncode == 2
    assert b"another supervisor already runs" in second.stderr
    assert supervisor_process.lock_holder(folder_of(world).config_file) == pid


def lose_nothing(folder: ReplicaFolder) -> None: ...


def lose_the_lock(folder: ReplicaFolder) -> None:
    (folder.path / LOCK_FILE).unlink()


def damage_the_status(folder: ReplicaFolder) -> None:
    (folder.path / "status.json").write_text("{")


async def test_supervisors_killed_in_every_state_are_replaced(world: LocalWorld) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        for damage in (lose_nothing, lose_the_lock, damage_the_status):
            status = await ready(backend)
            assert status.pid
            damage(folder_of(world))
            os.kill(status.pid, signal.SIGKILL)
            await observed(backend, ID, Phase.BACKOFF)
        await ready(backend)
