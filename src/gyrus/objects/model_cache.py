"""The models on one machine: each folder is fetched once, checked, and shared by all replicas.

::

    <key>/               complete, and never written again
    .unfinished-<key>/   incomplete: files under their final names are complete, and are not fetched again
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from gyrus.aio.single_flight import Report, SingleFlight
from gyrus.contract.models import ModelFolder, ModelObject
from gyrus.objects.errors import ObjectsRefused, ObjectsUnreachable
from gyrus.objects.location import parse_location
from gyrus.objects.opening import StoreOpener
from gyrus.objects.store import ObjectInfo, ObjectStore

P = ParamSpec("P")
T = TypeVar("T")
UNFINISHED = ".unfinished-"
PART = 8 * 1024 * 1024
"""Bytes that are fetched by one request."""
AT_ONCE = 8
"""Parts that are fetched at the same time."""
RESERVE = 256 * 2**20
"""Bytes of the disk that stay free."""
LEFTOVER = 24 * 3600.0
"""Seconds after which an incomplete folder is removed."""
_NEW = ".part"
_KEY = re.compile("[0-9a-f]{32}")
_MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class CachedModels:
    """One complete folder, as its removal sees it."""

    key: str
    size: int
    used_at: float
    """The time of the last fetch, in seconds since the epoch."""


def models_to_remove(cached: Collection[CachedModels], in_use: Collection[str], limit: int) -> list[str]:
    """Return the folders to remove, so that at most ``limit`` bytes stay: the longest unused first.

    Those in use stay, even above the limit. Pure.
    """
    excess = sum(each.size for each in cached) - limit
    removed: list[str] = []
    for each in sorted(cached, key=lambda each: each.used_at):
        if excess > 0 and each.key not in in_use:
            removed.append(each.key)
            excess -= each.size
    return removed


class ModelCache:
    """A folder of this machine, which one process alone changes."""

    def __init__(self, folder: Path, open_store: StoreOpener) -> None:
        self._folder = folder
        self._open_store = open_store
        self._fetching = SingleFlight[Path]("models")

    async def fetch(self, models: ModelFolder, report: Report) -> Path:
        """Return the folder with the models; bring them here if they are missing.

        Raises ObjectError. What has been fetched until then stays for the next try.
        """
        return await self._fetching.join(models.key, lambda progress: self._fetch(models, progress), report)

    async def sweep(self, in_use: Collection[str], limit: int) -> list[str]:
        """Remove unused folders beyond ``limit`` bytes, and return their keys. ``in_use``: keys."""
        cached = await asyncio.to_thread(self._cached)
        gone = models_to_remove(cached, {*in_use, *self._fetching.keys}, limit)
        for key in gone:
            await asyncio.to_thread(self._remove, key)
        await asyncio.to_thread(self._remove_leftovers)
        return gone

    async def _fetch(self, models: ModelFolder, report: Report) -> Path:
        target = self._folder / models.key
        try:
            if not await asyncio.to_thread(_touch, target):
                fetch = _Fetch(models, self._folder / f"{UNFINISHED}{models.key}", report)
                await fetch.run(self._open_store(parse_location(models.url)))
                await _to_its_end(_publish, fetch.folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _full(self._folder, models.size) from error
        return target

    def _cached(self) -> list[CachedModels]:
        try:
            entries = [entry for entry in os.scandir(self._folder) if _KEY.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        return [CachedModels(entry.name, _size(entry.path), entry.stat().st_mtime) for entry in entries]

    def _remove_leftovers(self) -> None:
        """Remove incomplete folders that no fetch has written to for a day."""
        for folder in (*self._folder.glob(".removed-*"), *self._folder.glob(f"{UNFINISHED}*")):
            running = folder.name.removeprefix(UNFINISHED) in self._fetching.keys
            if not running and folder.stat().st_mtime < time.time() - LEFTOVER:
                shutil.rmtree(folder, ignore_errors=True)

    def _remove(self, key: str) -> None:
        """Remove a folder: first its name, so that no incomplete one is ever used."""
        discarded = self._folder / f".removed-{key}"
        shutil.rmtree(discarded, ignore_errors=True)
        (self._folder / key).rename(discarded)
        shutil.rmtree(discarded, ignore_errors=True)


@dataclass(slots=True)
class _Fetch:
    """One fetch of a folder."""

    models: ModelFolder
    folder: Path
    report: Report
    done: int = 0
    """Bytes that are here."""
    missing: dict[str, int] = field(default_factory=dict[str, int])
    """Parts that are not here, by the file's name."""

    async def run(self, store: ObjectStore) -> None:
        self.report("fetching the models")
        left = await _to_its_end(self._prepare)
        parts = iter([part for file in left for part in _parts(file)])
        self.missing = {file.name: len([*_parts(file)]) for file in left}
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(self._work(parts, store), name=f"part {number} of {self.models.url}")
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _work(self, parts: Iterator[tuple[ModelObject, int, int]], store: ObjectStore) -> None:
        for file, begin, end in parts:
            await self._part(file, begin, end, store)
            self.missing[file.name] -= 1
            if not self.missing[file.name]:
                await self._complete(file, store)

    async def _part(self, file: ModelObject, begin: int, end: int, store: ObjectStore) -> None:
        async with aclosing(store.read(_info(file), begin, end)) as chunks:
            async for chunk in chunks:
                await _to_its_end(_write, self._new(file), begin, chunk)
                begin += len(chunk)
                self._advance(len(chunk))
        if begin < end:
            raise ObjectsUnreachable(
                f"{self.models.url}/{file.name} ended after {begin:,} of {file.size:,} bytes: try again."
            )

    async def _complete(self, file: ModelObject, store: ObjectStore) -> None:
        """Check the file, and give it its name."""
        new = self._new(file)
        if _MD5.fullmatch(file.tag):
            digest = await asyncio.to_thread(_md5, new)
            if digest != file.tag and digest != await _md5_of(store.read(_info(file))):
                raise ObjectsUnreachable(
                    f"{self.models.url}/{file.name} was damaged on its way: try again later."
                )
        await _to_its_end(_finish, new, self.folder / file.name)

    def _advance(self, size: int) -> None:
        self.done += size
        self.report(f"fetching the models ({_progress(self.done, self.models.size)})")

    def _prepare(self) -> list[ModelObject]:
        """Return the files that are not complete here. Raises ObjectsRefused if they do not fit."""
        left = [file for file in self.models.files if not (self.folder / file.name).is_file()]
        needed = sum(file.size for file in left)
        self.done = self.models.size - needed
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < needed + RESERVE:
            raise _full(self.folder.parent, needed)
        for file in left:
            new = self._new(file)
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(b"")
        return left

    def _new(self, file: ModelObject) -> Path:
        return self.folder / f"{file.name}{_NEW}"


def _progress(done: int, size: int) -> str:
    """Return what is done in words.

    >>> _progress(0, 0), _progress(3 * 2**29, 3 * 2**30)
    ('100 % of 0 MiB', '50 % of 3,072 MiB')
    """
    return f"{done * 100 // size if size else 100} % of {size / 2**20:,.0f} MiB"


async def _to_its_end(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Do work in a thread. A cancelled caller waits for its end, so that it cannot disturb the next try."""
    task = asyncio.create_task(asyncio.to_thread(work, *arguments, **named), name="files of models")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _parts(file: ModelObject) -> Iterator[tuple[ModelObject, int, int]]:
    for begin in range(0, max(file.size, 1), PART):
        yield file, begin, min(begin + PART, file.size)


def _info(file: ModelObject) -> ObjectInfo:
    return ObjectInfo(name=file.name, size=file.size, tag=file.tag, version=file.version, modified=0.0)


def _full(folder: Path, needed: int) -> ObjectsRefused:
    free = shutil.disk_usage(folder).free
    return ObjectsRefused(
        f"The disk of {folder} has {free // 2**20:,} MiB left, and the models need "
        f"{needed // 2**20 + 1:,} MiB: free some space."
    )


def _write(path: Path, begin: int, chunk: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        view = memoryview(chunk)
        while view:
            written = os.pwrite(descriptor, view, begin)
            begin += written
            view = view[written:]
    finally:
        os.close(descriptor)


async def _md5_of(chunks: AsyncGenerator[bytes]) -> str:
    """Return the MD5 of what is read a second time.

    The tag of an object that is encrypted by a key of KMS looks like an MD5, and is none. Two equal readings
    show that the object itself is so.
    """
    digest = hashlib.md5(usedforsecurity=False)
    async with aclosing(chunks):
        async for chunk in chunks:
            await asyncio.to_thread(digest.update, chunk)
    return digest.hexdigest()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _finish(new: Path, path: Path) -> None:
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.chmod(0o444)
    new.rename(path)


def _publish(fresh: Path, target: Path) -> None:
    """Give a complete folder its name. Files of an earlier try that do not belong to it are removed."""
    for leftover in fresh.rglob(f"*{_NEW}"):
        leftover.unlink()
    for place, _, _ in os.walk(fresh, topdown=False):
        os.chmod(place, 0o755)
    fresh.rename(target)


def _touch(folder: Path) -> bool:
    """Record a use of a folder. Returns False if it does not exist."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _size(folder: str) -> int:
    return sum(
        os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names
    )
