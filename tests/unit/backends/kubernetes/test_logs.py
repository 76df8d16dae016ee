"""Reading logs: past and present, of pods that exist and that are gone, each line once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.aio.signals import Signals
from gyrus.backends.kubernetes.log_copies import LogCopies
from gyrus.backends.kubernetes.logs import LogSources, RunningPod, read_logs
from gyrus.backends.kubernetes.pod import Pod
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import ObjectNotFound
from gyrus.log_archive.archive import ArchiveError, LogBatch
from gyrus.log_archive.intake import LogIntake
from support.log_archive import MemorySegments, intake_of

REPLICA, OTHER = "iris-1-aaaaa", "iris-1-bbbbb"
BASE = 1795852800


def line(second: int, message: str, replica: str = REPLICA, run: int = 0) -> LogLine:
    return LogLine(time=float(BASE + second), replica=replica, message=message, run=run)


@dataclass
class Cluster:
    """Pods with one container each, their output, and the archive."""

    output: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """By pod: lines with their time."""
    restarts: int = 0
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    changes: Signals = field(default_factory=Signals)
    segments: MemorySegments = field(default_factory=MemorySegments)

    def __post_init__(self) -> None:
        self.intake = intake_of(self.segments)

    def pods(self) -> list[Pod]:
        return [self._pod(name) for name in self.output]

    def _pod(self, name: str) -> Pod:
        state: dict[str, Any] = {
            "name": "server",
            "state": {"running": {}},
            "restartCount": self.restarts,
        }
        manifest: dict[str, Any] = {
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "server"}]},
            "status": {"containerStatuses": [state]},
        }
        return Pod(manifest)

    async def write(self, second: int, message: str, replica: str = REPLICA) -> None:
        async with self.grown:
            time = f"2026-11-28T08:{second // 60:02}:{second % 60:02}.000000000Z"
            self.output.setdefault(replica, []).append(f"{time} {message}")
            self.grown.notify_all()
        self.changes.notify("iris")

    async def lose(self, replica: str = REPLICA) -> None:
        """Remove a pod and its output, as a deletion without grace does."""
        async with self.grown:
            del self.output[replica]
            self.grown.notify_all()
        self.changes.notify("iris")

    async def archive(self, *lines: LogLine) -> None:
        first = lines[0]
        await self.intake.add(
            LogBatch(api="iris", replica=first.replica, number=int(first.time * 1000), lines=lines)
        )

    async def logs(self, pod: str, namespace: str, **asked: Any) -> AsyncGenerator[str]:
        """As :meth:`ClusterClient.logs`. ``since`` counts in whole seconds there, too."""
        if pod not in self.output or asked["previous"]:
            raise ObjectNotFound(pod)
        sent = 0
        while pod in self.output:
            for text in self.output[pod][sent:]:
                sent += 1
                if not asked["since"] or text[:19] >= asked["since"][:19]:
                    yield text
            if not asked["follow"]:
                return
            async with self.grown:
                if pod in self.output and len(self.output[pod]) == sent:
                    await self.grown.wait()

    def read(self, **asked: Any) -> AsyncGenerator[LogLine]:
        sources = LogSources(
            client=cast(ClusterClient, self),
            namespace="gyrus",
            pods=lambda api: tuple(RunningPod(pod) for pod in self.pods()),
            changes=self.changes,
            archive=self.intake,
        )
        return read_logs(sources, LogQuery(api="iris", **asked))

    async def messages(self, **asked: Any) -> list[str]:
        return [line.message async for line in self.read(**asked)]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.intake.run(), name="intake")
        yield made
        running.cancel()


async def test_both_copies_become_one_log(cluster: Cluster) -> None:
    await cluster.archive(line(1, "rotated away"), line(2, "both"), line(2, "both"))
    await cluster.archive(line(3, "gone", OTHER))
    await cluster.write(2, "both")
    await cluster.write(2, "both")
    await cluster.write(4, "not archived yet")
    everything = ["rotated away", "both", "both", "gone", "not archived yet"]
    assert await cluster.messages() == everything
    assert await cluster.messages(tail=2) == everything[-2:]
    assert await cluster.messages(tail=0) == []
    assert await cluster.messages(since=BASE + 3.0) == everything[-2:]
    assert await cluster.messages(replica=OTHER) == ["gone"]
    assert await cluster.messages(previous=True) == ["gone"]


async def test_previous_lines_are_those_before_a_restart(cluster: Cluster) -> None:
    cluster.restarts = 1
    await cluster.archive(line(1, "first run", run=0))
    await cluster.write(2, "second run")
    assert await cluster.messages() == ["first run", "second run"]
    assert await cluster.messages(previous=True) == ["first run"]
    assert await cluster.messages(previous=True, tail=5) == ["first run"]


class Unreadable(MemorySegments):
    async def segments(self, api: str | None = None) -> list[Any]:
        raise ArchiveError("the disk is gone")


async def test_an_archive_that_cannot_be_read_hides_nothing_else(cluster: Cluster) -> None:
    cluster.intake = intake_of(Unreadable())
    await cluster.write(1, "living")
    assert sorted(await cluster.messages()) == ["living", "older lines cannot be read now: the disk is gone"]


async def test_a_follower_sees_each_line_once_though_a_pod_goes(cluster: Cluster) -> None:
    await cluster.write(1, "past")
    async with asyncio.timeout(10), aclosing(cluster.read(follow=True)) as lines:
        assert (await anext(lines)).message == "past"
        await cluster.archive(line(1, "past"))
        await cluster.write(2, "from the node")
        assert (await anext(lines)).message == "from the node"
        await cluster.lose()
        await cluster.archive(line(2, "from the node"), line(3, "from the archive alone"))
        assert (await anext(lines)).message == "from the archive alone"
        await cluster.write(4, "of the next pod", OTHER)
        assert (await anext(lines)).message == "of the next pod"


async def copying(cluster: Cluster, intake: LogIntake) -> None:
    """Copy the output of the pods until cancelled, as an operator does."""
    await LogCopies(
        client=cast(ClusterClient, cluster),
        namespace="gyrus",
        intake=intake,
        clock=SystemClock(),
        pods=lambda: [("iris", pod) for pod in cluster.pods()],
        changes=cluster.changes,
    ).run()


async def test_output_without_a_supervisor_is_copied_once_by_each_operator_in_turn(cluster: Cluster) -> None:
    for first, last in ((0, 3), (3, 6)):
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(copying(cluster, cluster.intake), name="copies")
            with cluster.intake.following("iris") as arriving:
                for number in range(first, last):
                    await cluster.write(number, str(number))
                seen = [await arriving.get() for _ in range(first, last)]
            assert [each.message for each in seen] == [str(number) for number in range(first, last)]
            await cluster.archive(line(last, "", OTHER))  # after this one, all before it are stored
            task.cancel()
    await cluster.lose()
    assert await cluster.messages(replica=REPLICA) == ["0", "1", "2", "3", "4", "5"]
