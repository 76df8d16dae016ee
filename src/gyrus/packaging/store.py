"""Where the operator keeps uploaded archives, and their files for replicas to run. By digest, immutable."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterable, Iterable
from pathlib import Path

from gyrus.packaging import unpacking
from gyrus.packaging.archive import LARGEST, readable
from gyrus.packaging.errors import DigestMismatch, PackageTooLarge, UnknownPackage, telling_full_storage

_DIGEST = re.compile("[0-9a-f]{64}")
_UNFINISHED = ".unfinished-"
"""Prefix of what is not yet whole. Left behind by an operator that was killed."""


class PackageStore:
    """Two folders: archives as ``<digest>.tar``, and their files in ``<digest>/``.

    What stands under its final name is whole. Several uploads and unpackings may go on at once.
    """

    def __init__(self, packages: Path, projects: Path, *, limit: int = LARGEST) -> None:
        self._packages = packages
        self._projects = projects
        self._limit = limit
        self._unpacking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def clean_up(self) -> None:
        """Make the folders, and remove what an earlier operator left unfinished. Once, before all else."""
        for folder in (self._packages, self._projects):
            with telling_full_storage(folder):
                folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(f"{_UNFINISHED}*"):
                _remove(leftover)

    def has(self, digest: str) -> bool:
        return bool(_DIGEST.fullmatch(digest)) and self._archive(digest).is_file()

    async def add(self, digest: str, chunks: AsyncIterable[bytes]) -> int:
        """Keep these bytes, and return how many they are. Safe to repeat.

        Raises DigestMismatch, PackageTooLarge, BrokenArchive, StorageFull. Whatever it raises, and when it
        is cancelled, nothing is kept.
        """
        if not _DIGEST.fullmatch(digest):
            raise DigestMismatch(f"{digest[:80]!r} is not a digest: 64 small hexadecimal digits are wanted.")
        with telling_full_storage(self._packages):
            upload = await asyncio.to_thread(_Upload, self._packages, self._limit)
            try:
                async for chunk in chunks:
                    await asyncio.to_thread(upload.write, chunk)
                await asyncio.to_thread(upload.keep, digest, self._archive(digest))
            finally:
                upload.discard()
        return upload.size

    async def project(self, digest: str) -> Path:
        """The folder of a package's files; unpacked once, however many ask.

        Raises UnknownPackage, BrokenArchive, StorageFull.
        """
        if not _DIGEST.fullmatch(digest):
            raise UnknownPackage(f"{digest[:80]!r} is not the digest of a package.")
        folder = self._projects / digest
        async with self._unpacking[digest]:
            if not folder.is_dir():
                if not self.has(digest):
                    raise UnknownPackage(f"The package {digest} is not here; deploy the project again.")
                await asyncio.to_thread(self._unpack, digest, folder)
        return folder

    async def forget(self, digests: Iterable[str]) -> None:
        """Remove these archives and their files. No replica may need them. Idempotent."""
        for digest in filter(_DIGEST.fullmatch, digests):
            await asyncio.to_thread(_remove, self._archive(digest))
            await asyncio.to_thread(_remove, self._projects / digest)
            self._unpacking.pop(digest, None)

    def _archive(self, digest: str) -> Path:
        return self._packages / f"{digest}.tar"

    def _unpack(self, digest: str, folder: Path) -> None:
        """One that is cancelled goes on in its thread: whoever finishes first gives the folder its name."""
        with telling_full_storage(self._projects):
            self._projects.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._projects))
            try:
                unpacking.unpack(self._archive(digest), unfinished / "files")
                if not folder.is_dir():
                    _rename_folder(unfinished / "files", folder)
            finally:
                _remove(unfinished)


class _Upload:
    """An archive that is arriving. Its methods block, and are called one after the other."""

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
            raise PackageTooLarge(f"The package is larger than the {readable(self._limit)} that are allowed.")
        self._hash.update(chunk)
        self._file.write(chunk)

    def keep(self, digest: str, archive: Path) -> None:
        """Check the whole, and give it its name once it is on disk."""
        if self._hash.hexdigest() != digest:
            raise DigestMismatch(
                f"What arrived ({self.size} bytes) is not the package {digest}; send it again."
            )
        self._file.flush()
        unpacking.check(self._path)
        os.fsync(self._file.fileno())
        self._path.replace(archive)
        _sync_folder(archive.parent)

    def discard(self) -> None:
        """Remove what was not kept."""
        try:
            self._file.close()
        except OSError:
            pass  # the disk is full: what was not written is not wanted either
        finally:
            self._path.unlink(missing_ok=True)


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another thread was faster
            raise


def _sync_folder(folder: Path) -> None:
    """See to it that a new name in the folder survives a power failure."""
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
