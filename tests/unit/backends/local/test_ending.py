"""The request to end a replica is written down, and only ever brought forward."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gyrus.backends.local.ending import Termination
from gyrus.backends.local.folder import ReplicaFolder, StopRecord


async def test_a_request_is_written_before_it_is_seen(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path)
    termination = Termination(folder)
    request = asyncio.create_task(termination.request(50.0))
    await termination.begun.wait()
    assert folder.stop() == StopRecord(50.0)
    assert await request


@pytest.mark.parametrize("deadlines", [(10.0, 20.0), (20.0, 10.0)])
async def test_of_two_requests_at_once_the_earlier_deadline_holds(
    tmp_path: Path, deadlines: tuple[float, float]
) -> None:
    termination = Termination(ReplicaFolder(tmp_path))
    await asyncio.gather(*(termination.request(deadline) for deadline in deadlines))
    assert termination.deadline == 10.0


async def test_a_later_request_changes_nothing_unless_it_is_sooner(tmp_path: Path) -> None:
    termination = Termination(ReplicaFolder(tmp_path))
    assert await termination.request(20.0)
    assert not await termination.request(30.0)
    assert await termination.request(10.0)
    assert termination.deadline == 10.0


async def test_a_full_disk_does_not_keep_a_replica_from_ending(tmp_path: Path) -> None:
    termination = Termination(ReplicaFolder(tmp_path / "gone"))
    assert await termination.request(20.0)
    assert termination.begun.is_set()
