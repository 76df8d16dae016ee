"""The operator's store of uploaded archives and of their unpacked files. Both are by digest and immutable."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from collections.abc import AsyncIterable, Iterable
from pathlib import Path

from gyrus.aio.single_flight import SingleFlight
from gyrus.contract.operator import LARGEST_PACKAGE
from gyrus.packaging import unpacking
from gyrus.packaging.errors import DigestMismatch, UnknownPackage, reporting_full_storage
from gyrus.packaging.upload import UNFINISHED, Upload, UploadRules, remove, remove_unfinished

log = logging.getLogger(__name__)

_DIGEST = re.compile("[0-9a-f]{64}")
_SMALLER = "leave files out with a .gyrusignore, or raise the limit: gyrus up --max-package SIZE"


class PackageStore:
    """A store with two folders: archives as ``<digest>.tar``, and their files in ``<digest>/``.

    The locks of a package's dependencies are beside its archive, and are removed with it.

    Everything under its final name is complete. Several archives may be uploaded and unpacked at the same
    time.
    """

    def __init__(
        self, packages: Path, projects: Path, *, earlier: Path | None = None, limit: int = LARGEST_PACKAGE
    ) -> None:
        """``earlier``: the folder in which earlier versions unpacked; replicas of theirs may still use it."""
        self._earlier = earlier
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

    def has(self, digest: str) -> bool:
        return bool(_DIGEST.fullmatch(digest)) and self.archive(digest).is_file()

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
        return upload.size

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
            if not self.has(digest):
                raise UnknownPackage(f"The package {digest} does not exist; deploy the project again.")
            await asyncio.to_thread(self._unpack, digest, folder)
        return folder

    def locks(self, digest: str) -> Path:
        """Return the folder of the locks of a package's dependencies. It may not exist yet."""
        return self._packages / f"{digest}.locks"

    async def forget(self, digests: Iterable[str]) -> None:
        """Remove these archives and their files, which no replica may need. Idempotent."""
        for digest in filter(_DIGEST.fullmatch, digests):
            await asyncio.to_thread(remove, self.archive(digest))
            await asyncio.to_thread(remove, self._projects / digest)
            if self._earlier:
                await asyncio.to_thread(remove, self._earlier / digest)
            await asyncio.to_thread(remove, self.locks(digest))

    def archive(self, digest: str) -> Path:
        """Return the file of a package's archive. It exists if the store has the package."""
        return self._packages / f"{digest}.tar"

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


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another thread was faster
            raise
