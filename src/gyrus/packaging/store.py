"""The operator's store of uploaded archives and of their unpacked files. Both are by digest and immutable."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterable, Iterable
from pathlib import Path

from gyrus.aio.single_flight import SingleFlight
from gyrus.contract.operator import LARGEST_PACKAGE
from gyrus.packaging import unpacking
from gyrus.packaging.archive import readable
from gyrus.packaging.errors import DigestMismatch, PackageTooLarge, UnknownPackage, reporting_full_storage

log = logging.getLogger(__name__)

_DIGEST = re.compile("[0-9a-f]{64}")
_UNFINISHED = ".unfinished-"
"""Prefix of incomplete files and folders, which an operator that was killed leaves behind."""


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
        self._limit = limit
        self._unpacking = SingleFlight[Path]("package")

    def clean_up(self) -> None:
        """Create the folders, and remove the incomplete data of an earlier operator. Call it once, first."""
        for folder in (self._packages, self._projects):
            with reporting_full_storage(folder):
                folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"{_UNFINISHED}*"):
                _remove(leftover)

    def has(self, digest: str) -> bool:
        return bool(_DIGEST.fullmatch(digest)) and self._archive(digest).is_file()

    async def add(self, digest: str, chunks: AsyncIterable[bytes]) -> int:
        """Store an archive and return its size in bytes. Safe to repeat.

        Raises DigestMismatch, PackageTooLarge, BrokenArchive and StorageFull. If it raises or is cancelled,
        nothing is stored.
        """
        if not _DIGEST.fullmatch(digest):
            raise DigestMismatch(f"{digest[:80]!r} is not a digest of 64 lower-case hexadecimal digits.")
        with reporting_full_storage(self._packages):
            upload = await asyncio.to_thread(_Upload, self._packages, self._limit)
            try:
                async for chunk in chunks:
                    await asyncio.to_thread(upload.write, chunk)
                await asyncio.to_thread(upload.keep, digest, self._archive(digest))
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
            await asyncio.to_thread(_remove, self._archive(digest))
            await asyncio.to_thread(_remove, self._projects / digest)
            if self._earlier:
                await asyncio.to_thread(_remove, self._earlier / digest)
            await asyncio.to_thread(_remove, self.locks(digest))

    def _archive(self, digest: str) -> Path:
        return self._packages / f"{digest}.tar"

    def _is_intact(self, digest: str, folder: Path) -> bool:
        """Return True if the folder has the package's files. Removes a folder in which they were changed."""
        if not folder.is_dir():
            return False
        fault = unpacking.change(self._archive(digest), folder) if self.has(digest) else None
        if fault is None:
            return True
        log.warning("Unpacking the package %s again: %s", digest, fault)
        discarded = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._projects))
        folder.rename(discarded / "files")
        _remove(discarded)
        return False

    def _unpack(self, digest: str, folder: Path) -> None:
        """Unpack an archive.

        A cancelled call continues in its thread; the first to finish names the folder.
        """
        with reporting_full_storage(self._projects):
            self._projects.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._projects))
            try:
                unpacking.unpack(self._archive(digest), unfinished / "files")
                if not folder.is_dir():
                    _rename_folder(unfinished / "files", folder)
            finally:
                _remove(unfinished)


class _Upload:
    """An incoming archive. Its methods block and must be called one after the other."""

    def __init__(self, folder: Path, limit: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=folder)
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._limit = limit
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._limit:
            remedy = "leave files out with a .gyrusignore, or raise the limit: gyrus up --max-package SIZE"
            raise PackageTooLarge(
                f"The package is larger than the allowed {readable(self._limit)}; {remedy}."
            )
        self._hash.update(chunk)
        self._file.write(chunk)

    def keep(self, digest: str, archive: Path) -> None:
        """Check the complete archive, and rename it once it is on disk."""
        if self._hash.hexdigest() != digest:
            raise DigestMismatch(
                f"The upload ({self.size} bytes) is not the package {digest}; send it again."
            )
        self._file.flush()
        unpacking.check(self._path, self._path.parent)
        # First on disk, then renamed: a power failure leaves no truncated archive under its final name.
        os.fsync(self._file.fileno())
        self._path.replace(archive)
        _sync_folder(archive.parent)

    def discard(self) -> None:
        """Remove the upload unless it was stored."""
        try:
            self._file.close()
        except OSError:
            pass  # the disk is full: the unwritten rest is not needed
        finally:
            self._path.unlink(missing_ok=True)


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another thread was faster
            raise


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that a new name in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
