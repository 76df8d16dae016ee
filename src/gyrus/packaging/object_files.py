"""Files of operators in a store of objects: one object by file, with its digest in the object's name.

::

    packages/<digest>.tar~<digest>        a file, complete as soon as it is there
    packages/<digest>.tar~used~<time>     an empty object: the last use that was recorded

The content under a name with a digest never changes, so that two operators cannot harm each other: not even
a former leader that still writes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

from gyrus.objects.errors import NoSuchObject
from gyrus.objects.store import ObjectInfo, ObjectStore
from gyrus.packaging.shared_folder import SharedFile

URL_LIFETIME = 900.0
"""Seconds for which a pod can begin to fetch a file by its URL."""
_FILE = re.compile(r"(.+)~([0-9a-f]{64})")
_USED = re.compile(r"(.+)~used~([0-9]+(?:\.[0-9]+)?)")


class ObjectFiles:
    """Implements :class:`gyrus.packaging.shared_folder.SharedFiles`."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._files: dict[str, ObjectInfo] = {}
        self._uses: dict[str, str] = {}
        """The object with the last use, by file."""

    async def load(self) -> dict[str, SharedFile]:
        files: dict[str, ObjectInfo] = {}
        uses: dict[str, tuple[float, str]] = {}
        replaced: list[str] = []
        async with aclosing(self._objects.list()) as listed:
            async for info in listed:
                if found := _FILE.fullmatch(info.name):
                    earlier = files.get(found[1])
                    kept, other = _newer(info, earlier)
                    files[found[1]] = kept
                    replaced += [other.name] if other else []
                elif found := _USED.fullmatch(info.name):
                    at, name = max((float(found[2]), info.name), uses.get(found[1], (0.0, "")))
                    uses[found[1]] = (at, name)
        await self._objects.delete(replaced)
        self._files = files
        self._uses = {name: use for name, (_, use) in uses.items()}
        return {
            name: SharedFile(
                digest=info.name.rpartition("~")[2],
                size=info.size,
                used_at=max(uses.get(name, (0.0, ""))[0], 0.0) or info.modified,
            )
            for name, info in files.items()
        }

    async def put(self, name: str, file: SharedFile, source: Path) -> None:
        stored = f"{name}~{file.digest}"
        await self._objects.put(stored, source)
        earlier = self._files.get(name)
        self._files[name] = await self._objects.head(stored)
        await self.use(name, file.used_at)
        if earlier and earlier.name != stored:
            await self._objects.delete([earlier.name])

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        if info := self._files.get(name):
            try:
                async with aclosing(self._objects.read(info)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except NoSuchObject:
                return

    async def signed_url(self, name: str) -> str | None:
        info = self._files.get(name)
        return await self._objects.signed_url(info.name, URL_LIFETIME) if info else None

    async def use(self, name: str, at: float) -> None:
        earlier, use = self._uses.get(name), f"{name}~used~{at:f}"
        if earlier != use:
            await self._objects.put(use, b"")
            self._uses[name] = use
            if earlier:
                await self._objects.delete([earlier])

    async def remove(self, names: Iterable[str]) -> None:
        gone: list[str] = []
        for name in names:
            if info := self._files.pop(name, None):
                gone.append(info.name)
            if use := self._uses.pop(name, None):
                gone.append(use)
        await self._objects.delete(gone)


def _newer(info: ObjectInfo, other: ObjectInfo | None) -> tuple[ObjectInfo, ObjectInfo | None]:
    """Return the one that was stored later, and the other one."""
    if other is None or info.modified >= other.modified:
        return info, other
    return other, info
