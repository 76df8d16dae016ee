"""The operator's store of the archives of Python environments, by key."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gyrus.packaging.errors import DigestMismatch, UnknownPackage, reporting_full_storage
from gyrus.packaging.shared_folder import SharedFolder
from gyrus.packaging.upload import UNFINISHED, Upload, UploadRules, remove, remove_unfinished

UNUSED = 30 * 24 * 3600.0
"""Seconds after its last use at which an environment is removed."""
LARGEST_ENVIRONMENT = 32 * 1024**3
"""Bytes of one archive."""
_KEY = re.compile("[0-9a-f]{32}")
_FILE = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})\.tar\.zst")
_LOCK = ".lock"
_SMALLER = "require fewer or smaller packages"


@dataclass(frozen=True, slots=True)
class StoredEnvironment:
    """A complete archive in the store."""

    path: Path
    digest: str
    """SHA-256 of the archive's bytes, in hexadecimal digits."""


class EnvironmentStore:
    """A store with one folder, which it alone writes to. The archives are ``<key>.<digest>.tar.zst``.

    An archive under its final name is complete.
    """

    def __init__(
        self, folder: Path, *, limit: int = LARGEST_ENVIRONMENT, shared: SharedFolder | None = None
    ) -> None:
        """``shared``: the files of the folder that other operators have stored."""
        self._folder = folder
        self._shared = shared
        self._rules = UploadRules(what="environment", limit=limit, remedy=_SMALLER)
        self._stored: dict[str, StoredEnvironment] = {}
        self._used: dict[str, float] = {}
        """Times at which URLs of archives were given out, in seconds since the epoch."""

    def clean_up(self) -> None:
        """Create the folder, read it, and remove an earlier operator's incomplete data. Call it first."""
        with reporting_full_storage(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self._folder)
        self._add_known(path.name for path in self._folder.iterdir())

    async def load(self) -> None:
        """Learn of the archives that other operators have stored. Call it after :meth:`clean_up`."""
        if self._shared:
            await self._shared.load()
            self._stored.clear()  # an archive that another operator has replaced may be in the folder
            self._add_known(self._shared.files)
            for name in self._shared.files:
                if name.endswith(_LOCK):
                    await self._shared.fetch(name)

    def _add_known(self, names: Iterable[str]) -> None:
        for name in names:
            if match := _FILE.fullmatch(name):
                self._stored[match[1]] = StoredEnvironment(self._folder / name, match[2])

    def like(self, beginning: str) -> list[str]:
        """Return the keys of the stored environments that begin so, the one used last first."""
        found = [key for key in self._stored if key.startswith(beginning)]
        return sorted(found, key=lambda key: _last_use(self._stored[key].path), reverse=True)

    async def keep_lock(self, key: str, name: str, content: bytes) -> None:
        """Keep the lock that an environment is built from. Raises StorageFull."""
        file = self._folder / f"{key}.{name}{_LOCK}"
        await asyncio.to_thread(self._write, file, content)
        if self._shared:
            await self._shared.publish(file.name, hashlib.sha256(content).hexdigest(), time.time())

    def _write(self, file: Path, content: bytes) -> None:
        with reporting_full_storage(self._folder):
            unfinished = self._folder / f"{UNFINISHED}{file.name}"
            unfinished.write_bytes(content)
            unfinished.replace(file)

    def lock(self, key: str) -> tuple[str, bytes] | None:
        """Return name and content of an environment's lock. Returns None if none is kept."""
        for file in self._folder.glob(f"{key}.*{_LOCK}"):
            with suppress(OSError):
                return file.name.split(".")[1], file.read_bytes()
        return None

    def has(self, key: str) -> bool:
        """Return True if the environment is stored. Does no I/O."""
        return key in self._stored

    def digest(self, key: str) -> str | None:
        """Return the digest of an environment's archive, and record its use. Returns None for none."""
        if found := self._stored.get(key):
            with suppress(OSError):
                os.utime(found.path)
            return found.digest
        return None

    async def environment(self, key: str) -> StoredEnvironment:
        """Return the archive of an environment, and record its use. Raises UnknownPackage, StorageFull."""
        if found := self._stored.get(key):
            if self._shared:
                await self._shared.fetch(found.path.name)
            with suppress(OSError):
                os.utime(found.path)
            return found
        raise UnknownPackage(f"The environment {key[:80]} is not built yet.")

    async def signed_url(self, key: str) -> tuple[str, str] | None:
        """Return a URL with which a pod can fetch an archive, and its digest. Records its use.

        Returns None if this store has to pass it on.
        """
        found = self._stored.get(key)
        url = await self._shared.signed_url(found.path.name) if found and self._shared else None
        if found is None or url is None:
            return None
        self._used[key] = time.time()
        return url, found.digest

    async def add(
        self, key: str, digest: str, chunks: AsyncIterable[bytes], *, replace: bool = False
    ) -> None:
        """Store an archive. Safe to repeat.

        ``replace``: also if the environment is stored already. By default, the first archive stays.

        Raises DigestMismatch, PackageTooLarge and StorageFull. If it raises or is cancelled, nothing is
        stored.
        """
        if not _KEY.fullmatch(key):
            raise DigestMismatch(f"{key[:80]!r} is not a key of 32 lower-case hexadecimal digits.")
        target = self._folder / f"{key}.{digest}.tar.zst"
        if not _FILE.fullmatch(target.name):
            raise DigestMismatch(f"{digest[:80]!r} is not a digest of 64 lower-case hexadecimal digits.")
        with reporting_full_storage(self._folder):
            upload = await asyncio.to_thread(Upload, self._folder, self._rules)
            try:
                async for chunk in chunks:
                    await asyncio.to_thread(upload.write, chunk)
                if replace or not self.has(key):
                    await asyncio.to_thread(upload.keep, digest, target)
                    if self._shared:
                        await self._shared.publish(target.name, digest, time.time())
                    await self._take_over(key, StoredEnvironment(target, digest))
            finally:
                upload.discard()

    async def _take_over(self, key: str, stored: StoredEnvironment) -> None:
        earlier = self._stored.get(key)
        self._stored[key] = stored
        if earlier and earlier != stored:  # a download in progress has it open
            await self._remove(earlier.path)

    async def sweep(self, now: float) -> None:
        """Remove the environments that are unused for 30 days. One that is required again is built again.

        ``now``: seconds since the epoch.
        """
        for key, stored in tuple(self._stored.items()):
            if await self._last_use(stored) < now - UNUSED:
                self._stored.pop(key, None)
                locks = tuple(self._folder.glob(f"{key}.*{_LOCK}"))
                await self._remove(stored.path, *locks)

    async def _remove(self, *files: Path) -> None:
        for file in files:
            await asyncio.to_thread(remove, file)
        if self._shared:
            await self._shared.remove([file.name for file in files])

    async def _last_use(self, stored: StoredEnvironment) -> float:
        """Return the time of the last use, and pass it on to later operators."""
        name = stored.path.name
        here = max(await asyncio.to_thread(_last_use, stored.path), self._used.get(_key_of(name), 0.0))
        shared = self._shared.files.get(name) if self._shared else None
        if self._shared and shared and shared.used_at < here:
            await self._shared.use(name, here)
        return max(here, shared.used_at if shared else 0.0)


def _key_of(name: str) -> str:
    return name.partition(".")[0]


def _last_use(path: Path) -> float:
    """Return the time of the last use, in seconds since the epoch. A file that is missing was never used."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
