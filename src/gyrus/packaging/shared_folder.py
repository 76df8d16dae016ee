"""A folder of files that other operators have, too: they are in a store that all of them reach.

Of several operators only the leader uses it. Its folder is a cache: what is missing is fetched from the
shared store, and what is added is complete only when it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gyrus.aio.single_flight import SingleFlight
from gyrus.packaging.errors import UnknownPackage, reporting_full_storage
from gyrus.packaging.upload import Upload, UploadRules


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """A complete file in a shared store."""

    digest: str
    """SHA-256 of its bytes, in hexadecimal digits."""
    size: int
    """Bytes."""
    used_at: float
    """Seconds since the epoch."""


class SharedFiles(Protocol):
    """A store of files that several operators reach. Names have a folder: ``packages/<digest>.tar``."""

    async def load(self) -> Mapping[str, SharedFile]:
        """Return all complete files by name. Removes the incomplete ones of earlier operators."""
        ...

    async def put(self, name: str, file: SharedFile, source: Path) -> None:
        """Store this file. It replaces an earlier one of its name once it is complete."""
        ...

    def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield the content of a file in order. Yields nothing if there is no such file."""
        ...

    async def signed_url(self, name: str) -> str | None:
        """Return a URL with which anyone can fetch a file for some minutes. None: there is none."""
        ...

    async def use(self, name: str, at: float) -> None:
        """Record that a file was used. ``at``: seconds since the epoch."""
        ...

    async def remove(self, names: Iterable[str]) -> None:
        """Remove these files. Idempotent."""
        ...


class SharedFolder:
    """A folder as a cache of the files of one folder in a shared store. Names are relative to it."""

    def __init__(self, files: SharedFiles, prefix: str, folder: Path) -> None:
        """``prefix``: the name of the folder in the shared store."""
        self._files = files
        self._prefix = prefix
        self._folder = folder
        self._known: dict[str, SharedFile] = {}
        self._fetching = SingleFlight[None]("shared file")

    async def load(self) -> None:
        """Read which files there are. Call it once, before anything else."""
        start = f"{self._prefix}/"
        found = await self._files.load()
        self._known = {
            name.removeprefix(start): file for name, file in found.items() if name.startswith(start)
        }

    @property
    def files(self) -> Mapping[str, SharedFile]:
        return self._known

    async def publish(self, name: str, digest: str, now: float) -> None:
        """Store a file of the folder, so that other operators have it. Safe to repeat.

        ``now``: seconds since the epoch.
        """
        known = self._known.get(name)
        if known and known.digest == digest:
            return
        path = self._folder / name
        file = SharedFile(digest=digest, size=path.stat().st_size, used_at=now)
        await self._files.put(f"{self._prefix}/{name}", file, path)
        self._known[name] = file

    async def fetch(self, name: str) -> None:
        """Put a file into the folder, unless it is there or unknown. Raises UnknownPackage, StorageFull."""
        if name in self._known and not (self._folder / name).is_file():
            await self._fetching.join(name, lambda _: self._fetch(name), lambda _: None)

    async def signed_url(self, name: str) -> str | None:
        """Return a URL with which anyone can fetch a file for some minutes. None: there is none."""
        return await self._files.signed_url(f"{self._prefix}/{name}") if name in self._known else None

    async def use(self, name: str, at: float) -> None:
        """Record the use of a file, for :attr:`files`. ``at``: seconds since the epoch."""
        if name in self._known:
            self._known[name] = replace(self._known[name], used_at=at)
            await self._files.use(f"{self._prefix}/{name}", at)

    async def remove(self, names: Iterable[str]) -> None:
        """Remove files from the shared store. Idempotent."""
        known = [name for name in names if name in self._known]
        if known:
            await self._files.remove([f"{self._prefix}/{name}" for name in known])
        for name in known:
            self._known.pop(name, None)

    async def _fetch(self, name: str) -> None:
        file, target = self._known[name], self._folder / name
        rules = UploadRules(what="shared file", limit=file.size, remedy="deploy the API again")
        with reporting_full_storage(target.parent):
            upload = await asyncio.to_thread(Upload, target.parent, rules)
            try:
                async for chunk in self._files.read(f"{self._prefix}/{name}"):
                    await asyncio.to_thread(upload.write, chunk)
                if not upload.size and file.size:
                    raise UnknownPackage(f"The file {name} is not in the operators' store any more.")
                await asyncio.to_thread(upload.keep, file.digest, target)
            finally:
                upload.discard()
