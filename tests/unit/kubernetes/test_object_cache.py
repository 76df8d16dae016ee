"""A cache equals the cluster, and names the objects that changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gyrus.kubernetes.client import EventType, Listed, WatchEvent
from gyrus.kubernetes.object_cache import ObjectCache
from gyrus.kubernetes.resources import Manifest


@dataclass(slots=True)
class Cluster:
    """Objects, and the events that brought them about."""

    objects: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    version: int = 0
    events: list[WatchEvent] = field(default_factory=list[WatchEvent])

    def write(self, name: str) -> None:
        kind = EventType.MODIFIED if name in self.objects else EventType.ADDED
        self.objects[name] = self._made(name)
        self.events.append(WatchEvent(kind, self.objects[name]))

    def delete(self, name: str) -> None:
        if self.objects.pop(name, None):
            self.events.append(WatchEvent(EventType.DELETED, self._made(name)))

    def bookmark(self) -> None:
        mark: Manifest = {"metadata": {"resourceVersion": str(self.version)}}
        self.events.append(WatchEvent(EventType.BOOKMARK, mark))

    def listed(self) -> Listed:
        return Listed(tuple(self.objects.values()), str(self.version))

    def _made(self, name: str) -> Manifest:
        self.version += 1
        return {"metadata": {"name": name, "resourceVersion": str(self.version)}}


NAMES = st.sampled_from("abcd")
ACTS = st.lists(st.tuples(st.sampled_from(["write", "write", "delete", "bookmark", "relist"]), NAMES))


@given(ACTS)
def test_it_equals_the_cluster_after_any_events_and_lists(acts: list[tuple[str, str]]) -> None:
    cluster, cache = Cluster(), ObjectCache()
    cache.replace(cluster.listed())
    for act, name in acts:
        before = dict(cache)
        seen = len(cluster.events)
        match act:
            case "write":
                cluster.write(name)
            case "delete":
                cluster.delete(name)
            case "bookmark":
                cluster.bookmark()
            case _:
                changed = cache.replace(cluster.listed())
                assert not changed
        for event in cluster.events[seen:]:
            changed = cache.take(event)
            assert changed == {n for n in before.keys() | cache.keys() if before.get(n) != cache.get(n)}
        assert dict(cache) == cluster.objects
        assert cache.version == str(cluster.version)


@given(ACTS)
def test_a_list_names_what_changed_since_the_last_one(acts: list[tuple[str, str]]) -> None:
    cluster, cache = Cluster(), ObjectCache()
    for act, name in acts:
        if act == "write":
            cluster.write(name)
        elif act == "delete":
            cluster.delete(name)
        else:
            before = dict(cache)
            changed = cache.replace(cluster.listed())
            assert changed == {n for n in before.keys() | cache.keys() if before.get(n) != cache.get(n)}
            assert dict(cache) == cluster.objects


def test_an_event_that_comes_twice_changes_nothing() -> None:
    cluster, cache = Cluster(), ObjectCache()
    cluster.write("a")
    cluster.delete("a")
    for event in cluster.events:
        assert cache.take(event) == {"a"}
    assert cache.take(cluster.events[1]) == frozenset()
