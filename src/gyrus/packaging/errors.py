"""PackagingError
├── FolderRefused        the folder cannot be packed as it is: the user changes it, or tells what to leave out
│   └── FolderTooLarge   its files are too many bytes for a package
├── UploadRefused        what arrived is not kept: sending the same again would not help
│   ├── DigestMismatch   the bytes are not those that the digest names
│   ├── PackageTooLarge  they are too many
│   └── BrokenArchive    they are not an archive that this package made
├── UnknownPackage       no archive of this digest is kept here
└── StorageFull          the disk is full: nothing was kept
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

IGNORE_FILE = ".gyrusignore"

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class PackagingError(Exception):
    """Base of what packaging raises. The message is for the user."""


class FolderRefused(PackagingError):
    """Names the file, why it cannot be packed, and what to do about it."""


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
def telling_full_storage(place: object) -> Generator[None]:
    """Raise StorageFull where the system says that there is no room left to write at ``place``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        message = f"The disk is full: {place} could not be written. Free some space and try again."
        raise StorageFull(message) from error
