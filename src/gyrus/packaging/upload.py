"""A file on its way into a store: written beside its final place, checked, and renamed once it is on disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gyrus.packaging.archive import readable
from gyrus.packaging.errors import DigestMismatch, PackageTooLarge

UNFINISHED = ".unfinished-"
"""Prefix of incomplete files and folders, which an operator that was killed leaves behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRules:
    """The limit of an upload, and the words for its messages."""

    what: str
    """The name of the thing in a message: ``package``."""
    limit: int
    """Bytes."""
    remedy: str
    """A clause for uploads that are too large."""


class Upload:
    """An incoming file. Its methods block and must be called one after the other."""

    def __init__(self, folder: Path, rules: UploadRules) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._rules = rules
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append a chunk. Raises PackageTooLarge."""
        self.size += len(chunk)
        if self.size > self._rules.limit:
            raise PackageTooLarge(
                f"The {self._rules.what} is larger than the allowed {readable(self._rules.limit)}; "
                f"{self._rules.remedy}."
            )
        self._hash.update(chunk)
        self._file.write(chunk)

    def keep(self, digest: str, target: Path, check: Callable[[Path], None] = lambda path: None) -> None:
        """Check the complete file, and rename it once it is on disk. Raises DigestMismatch."""
        if self._hash.hexdigest() != digest:
            raise DigestMismatch(
                f"The upload ({self.size} bytes) is not the {self._rules.what} {digest}; send it again."
            )
        self._file.flush()
        check(self._path)
        # First on disk, then renamed: a power failure leaves no truncated file under its final name.
        os.fsync(self._file.fileno())
        self._path.replace(target)
        _sync_folder(target.parent)

    def discard(self) -> None:
        """Remove the upload unless it was stored."""
        try:
            self._file.close()
        except OSError:
            pass  # the disk is full: the unwritten rest is not needed
        finally:
            self._path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what an operator that was killed has left in the folder."""
    for leftover in folder.glob(f"{UNFINISHED}*"):
        remove(leftover)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with its content. Idempotent."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that a new name in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
