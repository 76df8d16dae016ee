"""A reflector lists, watches, resumes, and lists again only when it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.aio.virtual import VirtualClock
from gyrus.kubernetes.client import EventType, Listed, WatchEvent
from gyrus.kubernetes.errors import KubernetesError, TooManyRequests, Unreachable, VersionGone
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import PODS, Manifest, ResourceKind

LOST = Unreachable("https://cluster", "connection refused")


def pod(name: str, version: int) -> Manifest:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def added(name: str, version: int) -> WatchEvent:
    return WatchEvent(EventType.ADDED, pod(name, version))


def mark(version: int) -> WatchEvent:
    return WatchEvent(EventType.BOOKMARK, {"metadata": {"resourceVersion": str(version)}})


@dataclass(slots=True)
class ScriptedSource:
    """Answers lists and watches from scripts; the last watch never ends."""

    lists: list[Listed | KubernetesError]
    watches: list[list[WatchEvent | KubernetesError]] = field(
        default_factory=list[list[WatchEvent | KubernetesError]]
    )
    listed: int = 0
    versions: list[str] = field(default_factory=list[str])
    """The versions from which a watch began."""

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed:
        self.listed += 1
        answer = self.lists.pop(0)
        if isinstance(answer, KubernetesError):
            raise answer
        return answer

    async def watch(
        self,
        resource: ResourceKind,
        namespace: str | None = None,
        *,
        version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncGenerator[WatchEvent]:
        self.versions.append(version)
        if not self.watches:
            await asyncio.Event().wait()
        for event in self.watches.pop(0):
            if isinstance(event, KubernetesError):
                raise event
            yield event


@asynccontextmanager
async def following(source: ScriptedSource, clock: VirtualClock) -> AsyncGenerator[Reflector]:
    reflector = Reflector(source, Selection(resource=PODS, namespace="n"), clock, backoff=Backoff(1.0, 8.0))
    running = asyncio.create_task(reflector.run())
    await clock.settle()
    try:
        yield reflector
    finally:
        running.cancel()
        await asyncio.wait((running,))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def test_it_watches_from_where_the_list_or_the_last_watch_ended(clock: VirtualClock) -> None:
    source = ScriptedSource([Listed((pod("a", 3),), "5")], [[added("b", 6)], [mark(9)], []])
    async with following(source, clock) as reflector:
        assert set(reflector.objects) == {"a", "b"}
        assert source.versions == ["5", "6", "9", "9"]
        assert source.listed == 1
        await reflector.listed()


async def test_a_version_that_is_too_old_lists_again_at_once(clock: VirtualClock) -> None:
    again = Listed((pod("c", 20),), "21")
    source = ScriptedSource([Listed((pod("a", 3),), "5"), again], [[VersionGone("too old")]])
    async with following(source, clock) as reflector:
        assert set(reflector.objects) == {"c"}
        assert source.versions == ["5", "21"]
        assert reflector.fault is None
        assert clock.monotonic() == 0


async def test_an_error_resumes_the_watch_after_a_pause(clock: VirtualClock) -> None:
    source = ScriptedSource([Listed((), "5")], [[added("a", 6), LOST]])
    async with following(source, clock) as reflector:
        assert reflector.fault is LOST
        assert source.versions == ["5"]
        await clock.advance(1.0)
        assert source.versions == ["5", "6"]
        assert source.listed == 1
        assert reflector.fault is None


async def test_a_failed_list_is_repeated_with_growing_pauses(clock: VirtualClock) -> None:
    source = ScriptedSource([LOST, LOST, LOST, Listed((pod("a", 1),), "2")])
    async with following(source, clock) as reflector:
        assert not reflector.objects
        await clock.advance(0.4)
        assert source.listed == 1
        await clock.advance(0.6)
        assert source.listed == 2
        await clock.advance(2.0)
        assert source.listed == 3
        await clock.advance(4.0)
        assert set(reflector.objects) == {"a"}


async def test_a_busy_server_sets_the_pause(clock: VirtualClock) -> None:
    source = ScriptedSource([TooManyRequests("busy", 7.0), Listed((), "2")])
    async with following(source, clock):
        await clock.advance(6.9)
        assert source.listed == 1
        await clock.advance(0.2)
        assert source.listed == 2


async def test_listeners_get_the_names_that_changed(clock: VirtualClock) -> None:
    source = ScriptedSource([Listed((pod("a", 3),), "5")], [[added("b", 6), mark(7)]])
    reflector = Reflector(source, Selection(resource=PODS), clock)
    with reflector.changes.listen() as changes:
        running = asyncio.create_task(reflector.run())
        await clock.settle()
        assert changes.take() == {"a", "b"}
        running.cancel()
        await asyncio.wait((running,))


async def test_it_begins_where_an_earlier_list_ended(clock: VirtualClock) -> None:
    source = ScriptedSource([Listed((pod("a", 3),), "5")])
    reflector = Reflector(source, Selection(resource=PODS), clock)
    await reflector.list()
    running = asyncio.create_task(reflector.run())
    await clock.settle()
    assert (source.listed, source.versions) == (1, ["5"])
    running.cancel()
    await asyncio.wait((running,))
