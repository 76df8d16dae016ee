"""Objects in memory, for tests."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.objects.store import (
    CHUNK,
    ObjectInfo,
    checked_name,
    no_such_object,
    object_changed,
    object_exists,
)


@dataclass
class MemoryObjects:
    """Implements :class:`gyrus.objects.store.ObjectStore`."""

    url: str = "memory:"
    now: Callable[[], float] = time.time
    kept: dict[str, tuple[ObjectInfo, bytes]] = field(default_factory=dict[str, tuple[ObjectInfo, bytes]])

    async def put(self, name: str, content: bytes | Path, *, create: bool = False) -> None:
        data = content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)
        if create and name in self.kept:
            raise object_exists(f"{self.url}/{name}")
        self.put_now(name, data)

    def put_now(self, name: str, data: bytes) -> None:
        """Store an object."""
        tag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        info = ObjectInfo(name=checked_name(name), size=len(data), tag=tag, modified=self.now())
        self.kept[name] = (info, data)

    async def head(self, name: str) -> ObjectInfo:
        return self._found(name)[0]

    async def read(self, pinned: ObjectInfo, begin: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        info, data = self._found(pinned.name)
        if info.tag != pinned.tag:
            raise object_changed(f"{self.url}/{pinned.name}")
        part = data[begin:end]
        for first in range(0, len(part), CHUNK):
            yield part[first : first + CHUNK]

    async def list(self, folder: str = "") -> AsyncGenerator[ObjectInfo]:
        for name in sorted(self.kept):
            if name.startswith(f"{folder}/" if folder else ""):
                yield self.kept[name][0]

    async def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.kept.pop(name, None)

    async def signed_url(self, name: str, lifetime: float) -> str | None:
        return None

    def _found(self, name: str) -> tuple[ObjectInfo, bytes]:
        try:
            return self.kept[name]
        except KeyError:
            raise no_such_object(f"{self.url}/{name}") from None
