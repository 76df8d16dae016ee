"""The output of an API's replicas: of those that exist, and of those that are gone.

The nodes have the output of the pods that exist, and the archive has a copy of it that outlives them. Both
are read, and each line is shown once: a pod may go at any time, and the archive may lack what the nodes have.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import time

from gyrus.aio.signals import Signals
from gyrus.backends.kubernetes.log_output import read_output
from gyrus.backends.kubernetes.pod import ContainerState, Pod, seconds
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.contract.replica import ReplicaStatus
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError, ObjectInvalid, ObjectNotFound
from gyrus.log_archive.archive import ArchiveError
from gyrus.log_archive.intake import LogIntake
from gyrus.log_archive.log_merge import Copy, LogMerge

log = logging.getLogger(__name__)

BUFFERED = 1000
"""Lines that a reader may lag behind."""


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A replica's pod, with what its supervisor has reported."""

    pod: Pod
    status: ReplicaStatus | None = None

    def is_running(self, line: LogLine) -> bool:
        """Return True if the line's process still runs. False: it was written before the last restart."""
        if not self.pod.supervised:
            containers = self.pod.talking
            return line.process >= len(containers) or line.run >= containers[line.process].restarts
        started = seconds((self.pod.main.running or {}).get("startedAt")) if self.pod.restarts else None
        processes = self.status.processes if self.status else ()
        runs = {process.index: process.restarts for process in processes}
        return line.time >= (started or 0.0) and line.run >= runs.get(line.process, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSources:
    """The places that lines are read from."""

    client: ClusterClient
    namespace: str
    pods: Callable[[str], tuple[RunningPod, ...]]
    """Returns the pods of an API that exist."""
    changes: Signals
    """Signals with the names of APIs whose pods changed."""
    archive: LogIntake


async def read_logs(sources: LogSources, query: LogQuery) -> AsyncGenerator[LogLine]:
    """Yield past lines in time order; then, to follow, new lines as they come."""
    reading = _Reading(sources, query)
    if not query.follow:
        async with aclosing(reading.past()) as lines:
            async for line in lines:
                yield line
        return
    with sources.archive.following(query.api) as arriving:  # first, so that no line is in between
        for part in (reading.past(), reading.follow(arriving)):
            async with aclosing(part) as lines:
                async for line in lines:
                    yield line


class _Reading:
    """One query in progress."""

    def __init__(self, sources: LogSources, query: LogQuery) -> None:
        self._sources = sources
        self._query = query
        self._merge = LogMerge()
        self._last: dict[str, int] = {}
        """By container: when the node received its last line that was read."""

    def _asked(self, line: LogLine) -> bool:
        query = self._query
        if query.replica not in (None, line.replica):
            return False
        if query.since is not None and line.time < query.since:
            return False
        return not (query.previous and self._is_running(line))

    def _is_running(self, line: LogLine) -> bool:
        pods = self._sources.pods(self._query.api)
        return any(each.pod.name == line.replica and each.is_running(line) for each in pods)

    # The past

    async def past(self) -> AsyncGenerator[LogLine]:
        newest: deque[LogLine] = deque(maxlen=self._query.tail)
        async with aclosing(self._past()) as lines:
            async for line in lines:
                if self._query.tail is None:
                    yield line
                else:
                    newest.append(line)
        for line in newest:
            yield line

    async def _past(self) -> AsyncGenerator[LogLine]:
        """Yield the lines of both copies in time order."""
        cluster = deque(await self._in_cluster())
        async with aclosing(self._in_archive()) as archive:
            async for line in archive:
                while cluster and cluster[0].time <= line.time:
                    if self._is_new(Copy.CLUSTER, before := cluster.popleft()):
                        yield before
                if self._is_new(Copy.ARCHIVE, line):
                    yield line
        for line in cluster:
            if self._is_new(Copy.CLUSTER, line):
                yield line

    def _is_new(self, copy: Copy, line: LogLine) -> bool:
        return self._merge.admit(copy, line) and self._asked(line)

    async def _in_cluster(self) -> list[LogLine]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._of_container(pod, container), name=f"log of {pod.name}")
                for pod in self._pods()
                for container in pod.talking
            ]
        return sorted((line for task in tasks for line in task.result()), key=_time)

    async def _of_container(self, pod: Pod, container: ContainerState) -> list[LogLine]:
        lines: list[LogLine] = []
        for previous in (True, False):
            if previous and not container.restarts:
                continue
            output = read_output(
                self._sources.client,
                self._sources.namespace,
                pod,
                container,
                previous=previous,
                tail=None if self._query.previous else self._query.tail,
                since=self._query.since,
            )
            try:
                async with aclosing(output):
                    async for each in output:
                        lines.append(each.line)
                        self._last[_key(pod, container)] = each.at
            except (ObjectNotFound, ObjectInvalid):
                continue  # the container has not started, or its earlier output is gone
        return lines

    async def _in_archive(self) -> AsyncGenerator[LogLine]:
        query = replace(self._query, tail=None) if self._query.previous else self._query
        try:
            async with aclosing(self._sources.archive.read(query)) as lines:
                async for line in lines:
                    yield line
        except ArchiveError as error:
            log.warning("The log archive cannot be read: %s", error)
            message = f"older lines cannot be read now: {error}"
            yield LogLine(
                time=time(), replica=self._query.api, message=message, stream="gyrus", level="warning"
            )

    # The present

    async def follow(self, arriving: asyncio.Queue[LogLine]) -> AsyncGenerator[LogLine]:
        """Yield new lines. ``arriving``: those that the archive gets."""
        lines = asyncio.Queue[tuple[Copy, LogLine]](BUFFERED)
        following: dict[str, asyncio.Task[None]] = {}

        async def follow_new_pods() -> None:
            with self._sources.changes.listen() as listener:
                while True:
                    for pod, container in _running(self._pods()):
                        key = _key(pod, container)
                        if _free(following, key):
                            work = self._copy(pod, container, lines)
                            following[key] = group.create_task(work, name=f"log of {key}")
                    await listener.wait()

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(follow_new_pods(), name="pods to follow"),
                    group.create_task(_pass_on(arriving, lines), name="lines of the archive"),
                ]
                try:
                    while True:
                        copy, line = await lines.get()
                        if self._is_new(copy, line):
                            yield line
                finally:
                    for task in (*tasks, *following.values()):
                        task.cancel()
        except* GeneratorExit:  # the group has wrapped it: the reader has closed this generator
            pass

    async def _copy(
        self, pod: Pod, container: ContainerState, lines: asyncio.Queue[tuple[Copy, LogLine]]
    ) -> None:
        """Copy a container's new output until it ends."""
        key = _key(pod, container)
        output = read_output(
            self._sources.client,
            self._sources.namespace,
            pod,
            container,
            follow=True,
            after=self._last.get(key, 0),
        )
        try:
            async with aclosing(output):
                async for each in output:
                    self._last[key] = each.at
                    await lines.put((Copy.CLUSTER, each.line))
        except KubernetesError as error:  # the pod's next change tries again
            log.debug("The log of %s cannot be followed: %s", pod.name, error)

    def _pods(self) -> Iterable[Pod]:
        pods = (each.pod for each in self._sources.pods(self._query.api))
        return [pod for pod in pods if self._query.replica in (None, pod.name)]


async def _pass_on(arriving: asyncio.Queue[LogLine], lines: asyncio.Queue[tuple[Copy, LogLine]]) -> None:
    while True:
        await lines.put((Copy.ARCHIVE, await arriving.get()))


def _running(pods: Iterable[Pod]) -> Iterator[tuple[Pod, ContainerState]]:
    """Yield the containers that run, with their pods."""
    for pod in pods:
        yield from ((pod, container) for container in pod.talking if container.running is not None)


def _free(following: dict[str, asyncio.Task[None]], name: str) -> bool:
    return name not in following or following[name].done()


def _key(pod: Pod, container: ContainerState) -> str:
    return f"{pod.name}/{container.name}"


def _time(line: LogLine) -> float:
    return line.time
