"""The operator's store of uploaded archives and of their unpacked files. Both are by digest and immutable."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import tempfile
import time
from collections.abc import AsyncIterable, Iterable
from pathlib import Path

from gyrus.aio.single_flight import SingleFlight
from gyrus.contract.operator import LARGEST_PACKAGE
from gyrus.packaging import unpacking
from gyrus.packaging.errors import DigestMismatch, UnknownPackage, reporting_full_storage
from gyrus.packaging.shared_folder import SharedFolder
from gyrus.packaging.upload import UNFINISHED, Upload, UploadRules, remove, remove_unfinished

log = logging.getLogger(__name__)

_DIGEST = re.compile("[0-9a-f]{64}")
LARGEST_LOCK = 8 * 1024 * 1024
"""Bytes."""
_LOCK_RULES = UploadRules(what="lock", limit=LARGEST_LOCK, remedy="require fewer packages")
_SMALLER = "leave files out with a .gyrusignore, or raise the limit: gyrus up --max-package SIZE"


class PackageStore:
    """A store with two folders: archives as ``<digest>.tar``, and their files in ``<digest>/``.

    The locks of a package's dependencies are beside its archive, and are removed with it.

    Everything under its final name is complete. Several archives may be uploaded and unpacked at the same
    time.
    """

    def __init__(
        self,
        packages: Path,
        projects: Path,
        *,
        earlier: Path | None = None,
        limit: int = LARGEST_PACKAGE,
        shared: SharedFolder | None = None,
    ) -> None:
        """``earlier``: the folder in which earlier versions unpacked; replicas of theirs may still use it.

        ``shared``: the files of ``packages`` that other operators have stored.
        """
        self._earlier = earlier
        self._shared = shared
        self._packages = packages
        self._projects = projects
        self._rules = UploadRules(what="package", limit=limit, remedy=_SMALLER)
        self._unpacking = SingleFlight[Path]("package")

    def clean_up(self) -> None:
        """Create the folders, and remove the incomplete data of an earlier operator. Call it once, first."""
        for folder in (self._packages, self._projects):
            with reporting_full_storage(folder):
                folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(folder)

    async def load(self) -> None:
        """Learn of the packages that other operators have stored. Call it after :meth:`clean_up`."""
        if self._shared:
            await self._shared.load()

    def has(self, digest: str) -> bool:
        if not _DIGEST.fullmatch(digest):
            return False
        archive = self.archive(digest)
        # A file that is here alone is incomplete: the next operator would not have it.
        return archive.name in self._shared.files if self._shared else archive.is_file()

    async def add(self, digest: str, chunks: AsyncIterable[bytes]) -> int:
        """Store an archive and return its size in bytes. Safe to repeat.

        Raises DigestMismatch, PackageTooLarge, BrokenArchive and StorageFull. If it raises or is cancelled,
        nothing is stored.
        """
        if not _DIGEST.fullmatch(digest):
            raise DigestMismatch(f"{digest[:80]!r} is not a digest of 64 lower-case hexadecimal digits.")
        with reporting_full_storage(self._packages):
            upload = await asyncio.to_thread(Upload, self._packages, self._rules)
            try:
                async for chunk in chunks:
                    await asyncio.to_thread(upload.write, chunk)
                await asyncio.to_thread(upload.keep, digest, self.archive(digest), self._check)
            finally:
                upload.discard()
        if self._shared:
            await self._shared.publish(self.archive(digest).name, digest, time.time())
        return upload.size

    async def fetched(self, digest: str) -> Path:
        """Return the file of a package's archive. Raises UnknownPackage and StorageFull."""
        if not self.has(digest):
            raise UnknownPackage(f"The package {digest} does not exist; deploy the project again.")
        if self._shared:
            await self._shared.fetch(self.archive(digest).name)
        return self.archive(digest)

    async def signed_url(self, digest: str) -> str | None:
        """Return a URL with which a pod can fetch a package's archive. None: this store has to pass it on."""
        return await self._shared.signed_url(self.archive(digest).name) if self._shared else None

    async def project(self, digest: str) -> Path:
        """Return the folder of a package's files, which are as they were uploaded.

        They are checked and unpacked once for all callers at the same time, and unpacked again if any was
        changed or removed since.

        Raises UnknownPackage, BrokenArchive and StorageFull.
        """
        if not _DIGEST.fullmatch(digest):
            raise UnknownPackage(f"{digest[:80]!r} is not the digest of a package.")
        return await self._unpacking.join(digest, lambda _: self._unpacked(digest), lambda _: None)

    async def _unpacked(self, digest: str) -> Path:
        folder = self._projects / digest
        if not await asyncio.to_thread(self._is_intact, digest, folder):
            await self.fetched(digest)
            await asyncio.to_thread(self._unpack, digest, folder)
        return folder

    def locks(self, digest: str) -> Path:
        """Return the folder of the locks of a package's dependencies. It may not exist yet."""
        return self._packages / f"{digest}.locks"

    async def lock(self, digest: str, name: str) -> bytes:
        """Return a lock of a package's dependencies. Raises UnknownPackage."""
        path = self._lock(digest, name)
        if self._shared:
            await self._shared.fetch(self._shared_name(path))
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise UnknownPackage(f"The package {digest} has no lock {name}.") from None

    async def add_lock(
        self, digest: str, name: str, content_digest: str, chunks: AsyncIterable[bytes]
    ) -> None:
        """Keep a lock beside its package. Raises DigestMismatch, PackageTooLarge and StorageFull."""
        path = self._lock(digest, name)
        with reporting_full_storage(path.parent):
            upload = await asyncio.to_thread(Upload, path.parent, _LOCK_RULES)
            try:
                async for chunk in chunks:
                    await asyncio.to_thread(upload.write, chunk)
                await asyncio.to_thread(upload.keep, content_digest, path)
            finally:
                upload.discard()
        if self._shared:
            await self._shared.publish(self._shared_name(path), content_digest, time.time())

    async def fetch_locks(self, digest: str) -> None:
        """Put the files that other operators have stored beside a package into :meth:`locks`."""
        for name in self._shared_names(digest):
            if name.startswith(f"{digest}.locks/") and self._shared:
                await self._shared.fetch(name)

    async def publish_locks(self, digest: str) -> None:
        """Share what was written into :meth:`locks`."""
        if self._shared:
            for path, content in await asyncio.to_thread(_contents, self.locks(digest)):
                name = self._shared_name(path)
                await self._shared.publish(name, hashlib.sha256(content).hexdigest(), time.time())

    async def forget(self, digests: Iterable[str]) -> None:
        """Remove these archives and their files, which no replica may need. Idempotent."""
        for digest in filter(_DIGEST.fullmatch, digests):
            await asyncio.to_thread(remove, self.archive(digest))
            await asyncio.to_thread(remove, self._projects / digest)
            if self._earlier:
                await asyncio.to_thread(remove, self._earlier / digest)
            await asyncio.to_thread(remove, self.locks(digest))
            if self._shared:
                await self._shared.remove(self._shared_names(digest))

    def archive(self, digest: str) -> Path:
        """Return the file of a package's archive. It exists if the store has the package."""
        return self._packages / f"{digest}.tar"

    def _lock(self, digest: str, name: str) -> Path:
        return self.locks(digest) / f"{name}.json"

    def _shared_name(self, path: Path) -> str:
        return str(path.relative_to(self._packages))

    def _shared_names(self, digest: str) -> list[str]:
        """Return the names of a package's files in the shared store."""
        return [
            name for name in (self._shared.files if self._shared else ()) if name.startswith(f"{digest}.")
        ]

    def _check(self, archive: Path) -> None:
        unpacking.check(archive, self._packages)

    def _is_intact(self, digest: str, folder: Path) -> bool:
        """Return True if the folder has the package's files. Removes a folder in which they were changed."""
        if not folder.is_dir():
            return False
        fault = unpacking.change(self.archive(digest), folder) if self.has(digest) else None
        if fault is None:
            return True
        log.warning("Unpacking the package %s again: %s", digest, fault)
        discarded = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._projects))
        folder.rename(discarded / "files")
        remove(discarded)
        return False

    def _unpack(self, digest: str, folder: Path) -> None:
        """Unpack an archive.

        A cancelled call continues in its thread; the first to finish names the folder.
        """
        with reporting_full_storage(self._projects):
            self._projects.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._projects))
            try:
                unpacking.unpack(self.archive(digest), unfinished / "files")
                if not folder.is_dir():
                    _rename_folder(unfinished / "files", folder)
            finally:
                remove(unfinished)


def _contents(folder: Path) -> list[tuple[Path, bytes]]:
    """Return the complete files of a folder. Empty if it does not exist."""
    files = [path for path in folder.glob("*") if not path.name.startswith(UNFINISHED)]
    return [(path, path.read_bytes()) for path in files]


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another thread was faster
            raise
