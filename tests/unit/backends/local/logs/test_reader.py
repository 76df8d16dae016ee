"""The lines of all replicas as one log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gyrus.backends.local.logs.reader import Present, read_logs
from gyrus.backends.local.logs.retention import forget_gone
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.contract.replica import Phase, ProcessStatus, ReplicaStatus
from gyrus.runtime.supervisor.logfile import LogEntry, LogFile


class Logs:
    """The logs of one API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.present: dict[str, Present] = {}
        self._files: dict[str, LogFile] = {}

    def write(self, replica: str, time: float, message: str, *, run: int = 0, process: int = 0) -> None:
        if replica not in self._files:
            self._files[replica] = LogFile(str(self.folder / replica), replica, size=2000)
        self._files[replica].write([LogEntry(message=message, time=time, run=run, process=process)])

    def read(self, **query: object) -> AsyncIterator[LogLine]:
        asked = LogQuery(api="iris", **query)  # pyright: ignore[reportArgumentType] (a test's shorthand)
        return read_logs(self.folder, asked, self.present.get)

    async def messages(self, **query: object) -> list[str]:
        return [line.message async for line in self.read(**query)]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    made = Logs(tmp_path / "iris")
    for number in range(6):
        made.write("a" if number % 2 else "b", float(number), f"m{number}")
    return made


async def test_lines_come_in_time_order(logs: Logs) -> None:
    assert await logs.messages() == ["m0", "m1", "m2", "m3", "m4", "m5"]


async def test_an_api_without_logs_has_none(tmp_path: Path) -> None:
    assert await Logs(tmp_path / "none").messages() == []


@pytest.mark.parametrize(
    ("query", "reported"),
    [
        ({"since": 3.0}, ["m3", "m4", "m5"]),
        ({"tail": 2}, ["m4", "m5"]),
        ({"tail": 0}, []),
        ({"tail": 99}, ["m0", "m1", "m2", "m3", "m4", "m5"]),
        ({"replica": "a"}, ["m1", "m3", "m5"]),
        ({"replica": "a", "tail": 2}, ["m3", "m5"]),
        ({"replica": "a", "since": 2.0, "tail": 5}, ["m3", "m5"]),
        ({"replica": "nobody"}, []),
    ],
    ids=str,
)
async def test_a_query_chooses(logs: Logs, query: dict[str, object], reported: list[str]) -> None:
    assert await logs.messages(**query) == reported


async def test_previous_is_what_came_before_the_last_restart(logs: Logs) -> None:
    """``a`` runs for the second time since its supervisor started at 3; ``b`` is gone."""
    logs.write("a", 6.0, "first run")
    logs.write("a", 7.0, "second run", run=1)
    process = ProcessStatus(index=0, phase=Phase.READY, restarts=1)
    status = ReplicaStatus(
        id="a", api="iris", revision=1, phase=Phase.READY, processes=(process,), started_at=3.0
    )
    logs.present["a"] = Present.of(status)
    reported = await logs.messages(previous=True)
    assert reported == ["m0", "m1", "m2", "m3", "m4", "m5", "first run"]
    assert await logs.messages(previous=True, tail=1) == ["first run"]


async def test_lines_that_cannot_be_understood_are_passed_over(logs: Logs) -> None:
    with (logs.folder / "a" / "replica.log").open("ab") as file:
        file.write(b'not json\n\n{"time": 1}\n')
    assert len(await logs.messages()) == 6


@pytest.mark.parametrize("tail", [None, 1])
async def test_following_survives_rotation_and_finds_new_replicas(logs: Logs, tail: int | None) -> None:
    lines = logs.read(follow=True, tail=tail)
    async with asyncio.timeout(20):
        assert len(await _hear(lines, "m5")) == (tail or 6)
        for number in range(100):
            logs.write("a", 10.0 + number, f"n{number}")
        logs.write("c", 200.0, "end")
        heard = await _hear(lines, "end")
    assert heard == [*(f"n{n}" for n in range(100)), "end"]


async def _hear(lines: AsyncIterator[LogLine], last: str) -> list[str]:
    heard: list[str] = []
    async for line in lines:
        heard.append(line.message)
        if line.message == last:
            break
    return heard


async def test_following_ends_when_it_is_cancelled(logs: Logs) -> None:
    heard = asyncio.Event()

    async def follow() -> None:
        async for _ in logs.read(follow=True):
            heard.set()

    task = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_logs_of_the_latest_that_are_gone_are_kept(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"r{number}").mkdir()
        (tmp_path / f"r{number}" / "replica.log").touch()
        os.utime(tmp_path / f"r{number}" / "replica.log", (number, number))
    (tmp_path / ".DS_Store").touch()  # not ours
    forget_gone(tmp_path, {"r0"}, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".DS_Store", "r0", "r4", "r5"]
    forget_gone(tmp_path / "none", set(), 2)
