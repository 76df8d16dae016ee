"""Copies of the output of pods without a supervisor, for the archive: nothing in them sends their lines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals
from gyrus.backends.kubernetes.log_output import Output, read_output
from gyrus.backends.kubernetes.pod import ContainerState, Pod
from gyrus.contract.operator import LogLine
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError, ObjectInvalid, ObjectNotFound
from gyrus.log_archive.archive import ArchiveError, LogBatch

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two batches of a container."""
MOST_LINES = 1000
"""Lines of a batch, and lines that wait for the next one. The node keeps further ones meanwhile."""
MOST_CONTAINERS = 256
"""Containers that are read at a time. Others are read when one of these has ended."""
RETRY = Backoff(0.5, 15.0)

OwnPod = tuple[str, Pod]
"""A pod, with the API that it belongs to."""
ContainerRun = tuple[str, str, int]
"""A run of a container: pod, container, restarts before it."""
RunningCopies = dict[ContainerRun, asyncio.Task[None]]


class BatchIntake(Protocol):
    """Takes batches; :class:`gyrus.log_archive.intake.LogIntake` does."""

    async def add(self, batch: LogBatch) -> None:
        """Take a batch. Raises ArchiveError."""
        ...

    async def last_batch(self, api: str, replica: str, source: str = "") -> int | None:
        """Return the number of a source's last batch. Returns None if none is known. Raises ArchiveError."""
        ...


@dataclass(slots=True, kw_only=True)
class LogCopies:
    """Reads each container from its first to its last line. An earlier operator may have begun."""

    client: ClusterClient
    namespace: str
    intake: BatchIntake
    clock: Clock
    pods: Callable[[], Iterable[OwnPod]]
    """Returns the pods that exist."""
    changes: Signals
    """Signals when pods have changed."""
    _copying: RunningCopies = field(default_factory=lambda: RunningCopies())
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_CONTAINERS))

    async def run(self) -> None:
        """Copy until cancelled."""
        with self.changes.listen() as listener:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._look(group)
                    await listener.wait()

    def _look(self, group: asyncio.TaskGroup) -> None:
        """Begin with the containers that have started, and forget those whose pods are gone."""
        pods = [(api, pod) for api, pod in self.pods() if not pod.supervised]
        for api, pod in pods:
            for container in pod.talking:
                run = (pod.name, container.name, container.restarts)
                started = container.running is not None or container.terminated is not None
                if started and run not in self._copying:
                    self._copying[run] = group.create_task(
                        self._copy(api, pod, container),
                        name=f"copy of the log of {pod.name}/{container.name}",
                    )
        names = {pod.name for _, pod in pods}
        for run in [run for run, task in self._copying.items() if run[0] not in names and task.done()]:
            del self._copying[run]

    async def _copy(self, api: str, pod: Pod, container: ContainerState) -> None:
        async with self._turns:
            await _ContainerCopy(self, api, pod, container).run()


class _ContainerCopy:
    """One run of a container, which is read until it has ended."""

    def __init__(self, copies: LogCopies, api: str, pod: Pod, container: ContainerState) -> None:
        self._copies = copies
        self._api = api
        self._pod = pod
        self._container = container
        self._last = 0
        """When the node received the last line that was read, in nanoseconds."""
        self._lines = asyncio.Queue[Output | None](MOST_LINES)
        """Lines to store; None after the last one."""

    async def run(self) -> None:
        await self._resume()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(), name=f"log of {self._pod.name}")
            group.create_task(self._store(), name=f"batches of {self._pod.name}")

    async def _resume(self) -> None:
        """Begin after the last line that an earlier operator, or an earlier run, has stored."""
        failures = 0
        while True:
            try:
                last = await self._copies.intake.last_batch(self._api, self._pod.name, self._container.name)
                self._last = last or 0
                return
            except ArchiveError:
                await self._copies.clock.sleep(RETRY.delay(failures))
                failures += 1

    async def _read(self) -> None:
        """Read all lines, again from the last one on if the connection ends before the container does."""
        failures = 0
        while True:
            before = self._last
            with suppress(KubernetesError):
                if await self._read_once():
                    break
            failures = 0 if self._last > before else failures + 1
            await self._copies.clock.sleep(RETRY.delay(failures))
            if not self._exists():
                break
        await self._lines.put(None)

    async def _read_once(self) -> bool:
        """Return True if there is nothing more to read. Raises KubernetesError."""
        ended = not self._is_running()
        output = read_output(
            self._copies.client,
            self._copies.namespace,
            self._pod,
            self._container,
            follow=not ended,
            after=self._last,
        )
        try:
            async with aclosing(output):
                async for each in output:
                    self._last = each.at
                    await self._lines.put(each)
        except (ObjectNotFound, ObjectInvalid):  # its pod is gone, or its output
            return True
        return ended or not self._is_running()

    def _now(self) -> ContainerState | None:
        """Return the present state of the container. Returns None if its pod is gone or it runs again."""
        pods = (pod for _, pod in self._copies.pods() if pod.name == self._pod.name)
        states = (state for pod in pods for state in pod.talking if state.name == self._container.name)
        state = next(states, None)
        return state if state and state.restarts == self._container.restarts else None

    def _exists(self) -> bool:
        return self._now() is not None

    def _is_running(self) -> bool:
        state = self._now()
        return state is not None and state.running is not None

    async def _store(self) -> None:
        while first := await self._lines.get():
            batch = [first]
            ended = False
            while len(batch) < MOST_LINES and not self._lines.empty() and not ended:
                each = self._lines.get_nowait()
                if each is None:
                    ended = True
                else:
                    batch.append(each)
            await self._add(batch)
            if ended:
                return
            await self._copies.clock.sleep(EVERY)

    async def _add(self, outputs: list[Output]) -> None:
        """Store lines. If the archive stays unusable for long, the reader waits, and the node keeps lines."""
        lines: tuple[LogLine, ...] = tuple(each.line for each in outputs)
        batch = LogBatch(
            api=self._api,
            replica=self._pod.name,
            source=self._container.name,
            number=outputs[-1].at,
            lines=lines,
        )
        failures = 0
        while True:
            try:
                await self._copies.intake.add(batch)
                return
            except ArchiveError:
                await self._copies.clock.sleep(RETRY.delay(failures))
                failures += 1
