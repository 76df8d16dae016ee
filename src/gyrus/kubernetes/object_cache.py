"""The objects of a list and of the events after it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gyrus.kubernetes.client import EventType, Listed, WatchEvent
from gyrus.kubernetes.resources import Manifest, name_of, version_of


class ObjectCache(Mapping[str, Manifest]):
    """Objects by name. Its content is that of the cluster at :attr:`version`."""

    def __init__(self, key: Callable[[Manifest], str] = name_of) -> None:
        """``key``: returns the name of an object in the cache."""
        self._key = key
        self._objects: dict[str, Manifest] = {}
        self.version = ""
        """The resource version of the last list, event or bookmark. Empty before the first list."""

    def replace(self, listed: Listed) -> frozenset[str]:
        """Take over a list; return the names of the objects that differ from before."""
        before, self._objects = self._objects, {self._key(item): item for item in listed.items}
        self.version = listed.version
        names = before.keys() | self._objects.keys()
        return frozenset(name for name in names if _differ(before.get(name), self._objects.get(name)))

    def take(self, event: WatchEvent) -> frozenset[str]:
        """Take over an event; return the name of the object that it changed, if any."""
        self.version = version_of(event.object) or self.version
        if event.type is EventType.BOOKMARK:
            return frozenset()
        name = self._key(event.object)
        if event.type is EventType.DELETED:
            return frozenset({name} if self._objects.pop(name, None) is not None else ())
        before, self._objects[name] = self._objects.get(name), event.object
        return frozenset({name} if _differ(before, event.object) else ())

    def __getitem__(self, name: str) -> Manifest:
        return self._objects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)


def _differ(one: Manifest | None, other: Manifest | None) -> bool:
    """Compare versions, because a whole object is larger. An object created again has another one."""
    if one is None or other is None:
        return one is not other
    return version_of(one) != version_of(other)
