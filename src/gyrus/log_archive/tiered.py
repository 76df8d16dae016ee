"""Segments of which the old ones are objects: ``<api>/<replica>~<first>~<last>~<damaged>~<id>.z``.

New lines are appended to a nearer store, since an object cannot grow. A segment is moved when its last line
is an hour old. It is in both stores for a moment, and then counts once.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import zlib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from gyrus.log_archive.archive import ArchiveError, LogBatch
from gyrus.log_archive.segment import Content, Segment, SegmentStore
from gyrus.objects.errors import NoSuchObject, ObjectError
from gyrus.objects.store import ObjectInfo, ObjectStore, content

T = TypeVar("T")

OLD = 3600.0
"""Seconds after its last line at which a segment is moved."""
_NAME = re.compile(r"([^~/]+)/([^~/]+)~(\d+)~(\d+)~([01])~([0-9a-f]{16})\.z")
_FAR = "objects:"
"""Prefix of the keys of segments that are objects."""


class TieredSegments:
    """Implements :class:`gyrus.log_archive.segment.SegmentStore`."""

    def __init__(self, near: SegmentStore, objects: ObjectStore) -> None:
        self._near = near
        self._objects = objects
        self._changing = asyncio.Lock()
        """Held while near segments grow or are removed, so that no line is removed with its segment."""

    async def append(self, batches: Sequence[LogBatch]) -> None:
        async with self._changing:
            await self._near.append(batches)

    async def last_batch(self, api: str, replica: str, source: str) -> int | None:
        return await self._near.last_batch(api, replica, source)

    async def segments(self, api: str | None = None) -> list[Segment]:
        near = await self._near.segments(api)  # first: a segment that is moved meanwhile is found later
        far = await self._asked(lambda: self._listed(api))
        return [each for each in near if _id(each) not in far] + [*far.values()]

    async def content(self, segment: Segment) -> Content:
        if not segment.key.startswith(_FAR):
            found = await self._near.content(segment)
            far = None if found.data else await self._far_of(segment)
            return found if far is None else await self.content(far)
        name = segment.key.removeprefix(_FAR)
        try:
            data = await self._asked(lambda: content(self._objects, name))
        except _Gone:
            return Content(b"")
        damaged = _NAME.fullmatch(name)
        try:
            return Content(
                await asyncio.to_thread(zlib.decompress, data), damaged=damaged is None or damaged[5] == "1"
            )
        except zlib.error:
            return Content(b"", damaged=True)

    async def remove(self, segments: Sequence[Segment]) -> None:
        await self._near.remove([each for each in segments if not each.key.startswith(_FAR)])
        names = [each.key.removeprefix(_FAR) for each in segments if each.key.startswith(_FAR)]
        if names:
            await self._asked(lambda: self._objects.delete(names))

    async def move_old(self, now: float) -> int:
        """Move the segments that are old, and return their number. Raises ArchiveError.

        ``now``: seconds since the epoch.
        """
        old = [each for each in await self._near.segments() if each.last < now - OLD]
        for segment in old:
            await self._move(segment)
        return len(old)

    async def _move(self, segment: Segment) -> None:
        found = await self._near.content(segment)
        name = _name_of(segment, damaged=found.damaged)
        data = await asyncio.to_thread(zlib.compress, found.data)
        await self._asked(lambda: self._objects.put(name, data))
        async with self._changing:
            unchanged = segment in await self._near.segments(segment.api)
            if unchanged:
                await self._near.remove([segment])
        if not unchanged:  # it has grown, and is moved later, or its API is deleted
            await self._asked(lambda: self._objects.delete([name]))

    async def _listed(self, api: str | None) -> dict[str, Segment]:
        """Return the segments that are objects, by id."""
        found: dict[str, Segment] = {}
        async with aclosing(self._objects.list(api or "")) as listed:
            async for info in listed:
                if match := _NAME.fullmatch(info.name):
                    found[match[6]] = _segment(info, match)
        return found

    async def _far_of(self, segment: Segment) -> Segment | None:
        """Return where a segment is that has been moved since it was listed."""
        return (await self._asked(lambda: self._listed(segment.api))).get(_id(segment))

    async def _asked(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result. Raises ArchiveError."""
        try:
            return await work()
        except NoSuchObject as error:
            raise _Gone(str(error)) from error
        except ObjectError as error:
            raise ArchiveError(str(error).rstrip(".")) from error


class _Gone(ArchiveError):
    """An object that has been removed."""


def _id(segment: Segment) -> str:
    """Return a name that differs as soon as the segment has grown. A new database repeats keys."""
    content = (
        f"{segment.key} {segment.api} {segment.replica} {segment.first!r} {segment.last!r} {segment.size}"
    )
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _name_of(segment: Segment, *, damaged: bool) -> str:
    first, last = (max(0, round(at * 1e6)) for at in (segment.first, segment.last))
    return f"{segment.api}/{segment.replica}~{first}~{last}~{damaged:d}~{_id(segment)}.z"


def _segment(info: ObjectInfo, match: re.Match[str]) -> Segment:
    return Segment(
        key=f"{_FAR}{info.name}",
        api=match[1],
        replica=match[2],
        first=int(match[3]) / 1e6,
        last=int(match[4]) / 1e6,
        size=info.size,
    )
