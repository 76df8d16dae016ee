"""Objects as the files of a folder. A file whose name begins with a dot is no object."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from gyrus.objects.errors import ObjectsRefused
from gyrus.objects.store import (
    CHUNK,
    ObjectInfo,
    checked_name,
    no_such_object,
    object_changed,
    object_exists,
)

P = ParamSpec("P")
T = TypeVar("T")
_NEW = ".new-"
"""Prefix of files that are being written."""


class FolderObjects:
    """Implements :class:`gyrus.objects.store.ObjectStore`. The folder need not exist before the first put."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        return f"file://{self._folder}"

    async def put(self, name: str, content: bytes | Path, *, create: bool = False) -> None:
        await self._call(self._put, self._path(name), content, create)

    async def head(self, name: str) -> ObjectInfo:
        return await self._call(self._info, self._path(name))

    async def read(self, pinned: ObjectInfo, begin: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        path, last = self._path(pinned.name), pinned.size if end is None else min(end, pinned.size)
        await self._call(self._check, path, pinned)
        while begin < last:
            data = await self._call(_read, path, begin, min(CHUNK, last - begin))
            await self._call(self._check, path, pinned)
            if not data:
                raise object_changed(self._url(path))
            begin += len(data)
            yield data

    async def list(self, folder: str = "") -> AsyncGenerator[ObjectInfo]:
        for info in await self._call(self._all, self._folder / folder):
            yield info

    async def delete(self, names: Iterable[str]) -> None:
        for name in names:
            await self._call(self._delete, self._path(name))

    async def signed_url(self, name: str, lifetime: float) -> str | None:
        return None

    # In a thread

    def _put(self, target: Path, content: bytes | Path, create: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=_NEW, dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file, CHUNK)
                file.flush()
                os.fsync(file.fileno())
            if create:
                try:
                    os.link(name, target)  # fails if the target exists, and replaces nothing
                except FileExistsError:
                    raise object_exists(self._url(target)) from None
            else:
                os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)

    def _info(self, path: Path) -> ObjectInfo:
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise no_such_object(self._url(path)) from None
        if not path.is_file():
            raise no_such_object(self._url(path))
        return ObjectInfo(
            name=path.relative_to(self._folder).as_posix(),
            size=status.st_size,
            tag=f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}",
            modified=status.st_mtime,
        )

    def _check(self, path: Path, pinned: ObjectInfo) -> None:
        if self._info(path).tag != pinned.tag:
            raise object_changed(self._url(path))

    def _all(self, folder: Path) -> list[ObjectInfo]:
        found = [
            self._info(Path(place, name))
            for place, folders, names in os.walk(folder, onerror=_unless_missing)
            for name in _visible(folders, names)
        ]
        return sorted(found, key=lambda info: info.name)

    def _delete(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    def _url(self, path: Path) -> str:
        return f"file://{path}"

    async def _call(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        with self._translated():
            return await asyncio.to_thread(work, *arguments, **named)

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            place = error.filename or self._folder
            raise ObjectsRefused(
                f"{place} cannot be read or written: {error.strerror or error}; check the folder {self.url}."
            ) from error


def _read(path: Path, begin: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(size)


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _visible(folders: list[str], names: list[str]) -> list[str]:
    """Return the names of objects. Removes hidden folders from ``folders``, so that they are left out."""
    folders[:] = [name for name in folders if not name.startswith(".")]
    return [name for name in names if not name.startswith(".")]
