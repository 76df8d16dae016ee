"""The output of an API's replicas, read from their pods. Output of pods that are gone is not here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec

from gyrus.aio.signals import Signals
from gyrus.backends.kubernetes.pod import ContainerState, Pod, seconds
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError, ObjectInvalid, ObjectNotFound

log = logging.getLogger(__name__)

PodsOf = Callable[[str], tuple[Pod, ...]]
"""Returns the pods of an API."""
BUFFERED = 1000
"""Lines that a reader may lag behind."""


async def read_logs(
    client: ClusterClient, namespace: str, query: LogQuery, pods_of: PodsOf, changes: Signals
) -> AsyncGenerator[LogLine]:
    """Yield past lines in time order; then, to follow, new lines as they come."""
    last: dict[str, float] = {}
    for line in await _past(client, namespace, query, pods_of(query.api)):
        last[line.replica] = max(last.get(line.replica, 0.0), line.time)
        yield line
    if query.follow:
        async with aclosing(_follow(client, namespace, query, pods_of, changes, last)) as lines:
            async for line in lines:
                yield line


async def _past(
    client: ClusterClient, namespace: str, query: LogQuery, pods: tuple[Pod, ...]
) -> list[LogLine]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _of_container(client, namespace, query, pod, container), name=f"log of {pod.name}"
            )
            for pod in pods
            if query.replica in (None, pod.name)
            for container in pod.talking
        ]
    lines = sorted((line for task in tasks for line in task.result()), key=lambda line: line.time)
    return lines if query.tail is None else lines[len(lines) - min(query.tail, len(lines)) :]


async def _of_container(
    client: ClusterClient, namespace: str, query: LogQuery, pod: Pod, container: ContainerState
) -> list[LogLine]:
    runs = [True] if query.previous else [True, False]
    lines: list[LogLine] = []
    for previous in runs:
        if previous and not container.restarts:
            continue
        run = container.restarts - int(previous)
        since = _rfc3339(query.since) if query.since else None
        try:
            output = client.logs(
                pod.name,
                namespace,
                container=container.name,
                previous=previous,
                tail=query.tail,
                since=since,
            )
            async with aclosing(output) as texts:
                lines.extend([line async for text in texts if (line := _line(pod, container, text, run))])
        except (
            ObjectNotFound,
            ObjectInvalid,
        ):  # the container has not started, or its earlier output is gone
            continue
    return lines


async def _follow(
    client: ClusterClient,
    namespace: str,
    query: LogQuery,
    pods_of: PodsOf,
    changes: Signals,
    last: dict[str, float],
) -> AsyncGenerator[LogLine]:
    lines = asyncio.Queue[LogLine](BUFFERED)
    began = dict(last)
    """By pod: the time of its last past line."""
    following: dict[str, asyncio.Task[None]] = {}

    async def follow_new_pods() -> None:
        with changes.listen() as listener:
            while True:
                for pod, container in _running(pods_of(query.api), query.replica):
                    key = f"{pod.name}/{container.name}"
                    if _free(following, key):
                        known = max(began.get(pod.name, 0.0), last.get(key, 0.0))
                        work = _copy(client, namespace, pod, container, known, last, lines)
                        following[key] = group.create_task(work, name=f"log of {key}")
                await listener.wait()

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(follow_new_pods(), name="pods to follow")
        try:
            while True:
                yield await lines.get()
        finally:
            for task in (watching, *following.values()):
                task.cancel()


def _running(pods: Iterable[Pod], replica: str | None) -> Iterator[tuple[Pod, ContainerState]]:
    """Yield the containers that run, with their pods. ``replica``: the only pod to look at; None: all."""
    for pod in pods:
        if replica in (None, pod.name):
            yield from ((pod, container) for container in pod.talking if container.running is not None)


def _free(following: dict[str, asyncio.Task[None]], name: str) -> bool:
    return name not in following or following[name].done()


async def _copy(
    client: ClusterClient,
    namespace: str,
    pod: Pod,
    container: ContainerState,
    known: float,
    last: dict[str, float],
    lines: asyncio.Queue[LogLine],
) -> None:
    """Copy a container's new output until it ends. ``known``: the time of its last known line."""
    since = _rfc3339(known) if known else None
    try:
        output = client.logs(pod.name, namespace, container=container.name, follow=True, since=since)
        async with aclosing(output) as texts:
            async for text in texts:
                line = _line(pod, container, text, container.restarts)
                if line and line.time > known:
                    last[f"{pod.name}/{container.name}"] = line.time
                    await lines.put(line)
    except KubernetesError as error:  # the pod's next change tries again
        log.debug("The log of %s cannot be followed: %s", pod.name, error)


def _line(pod: Pod, container: ContainerState, text: str, run: int) -> LogLine | None:
    """Return the line that a supervisor wrote as JSON, or that another program wrote as text.

    In a pod with several containers, the line names its container. Returns None for a line without a time,
    which is no output but the node's own message.
    """
    replica = pod.name
    time, _, message = text.partition(" ")
    try:
        at = seconds(time) or 0.0
    except ValueError:
        log.debug("The log of %s: %s", replica, text)
        return None
    if pod.supervised and message.startswith("{"):
        try:
            document: dict[str, Any] = msgspec.json.decode(message, type=dict[str, Any])
            return msgspec.convert({**document, "replica": replica}, LogLine)
        except (msgspec.MsgspecError, TypeError):
            pass
    if len(pod.talking) > 1:
        message = f"[{container.name}] {message}"
    return LogLine(time=at, replica=replica, message=message, run=run)


def _rfc3339(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
