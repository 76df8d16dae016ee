"""The errors of packaging.

PackagingError
├── FolderRefused        the folder cannot be packed: the user must change it, or leave files out
│   └── FolderTooLarge   its files are too large for a package
├── UploadRefused        the upload is not stored: sending the same bytes again would not help
│   ├── DigestMismatch   the bytes do not match the digest
│   ├── PackageTooLarge  the upload has too many bytes
│   └── BrokenArchive    the bytes are not an archive that this package made
├── UnknownPackage       the store has no archive of this digest
└── StorageFull          the disk is full: nothing was stored
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

IGNORE_FILE = ".gyrusignore"

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class PackagingError(Exception):
    """Base of all errors of packaging. The message is for the user."""


class FolderRefused(PackagingError):
    """A folder that cannot be packed. The message names the file, the cause and the remedy."""


class FolderTooLarge(FolderRefused):
    pass


class UploadRefused(PackagingError):
    pass


class DigestMismatch(UploadRefused):
    pass


class PackageTooLarge(UploadRefused):
    pass


class BrokenArchive(UploadRefused):
    pass


class UnknownPackage(PackagingError):
    pass


class StorageFull(PackagingError):
    pass


@contextmanager
def reporting_full_storage(place: object) -> Generator[None]:
    """Raise StorageFull if the system reports a full disk while writing to ``place``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        message = f"The disk is full: {place} could not be written. Free some space and try again."
        raise StorageFull(message) from error
