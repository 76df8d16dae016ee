"""The working folder of one process: its own copy of the project, as in a container.

Small files are copied. A large file shares its blocks with the package's if the file system can do that
(reflink). Otherwise it is a hard link to the package's file, which is read-only: a handler cannot write to it
by mistake, but can delete or replace it. Root can write to a read-only file, and its owner can make it
writable. Therefore only a file that is still as it was unpacked is used (:mod:`gyrus.contract.package`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from io import FileIO

from gyrus.contract.package import is_as_unpacked

LARGE = 16 * 1024 * 1024
"""Bytes. Files of at least this size are linked where they cannot share blocks."""
_CLONE = 0x40049409  # Linux: FICLONE, which is _IOW(0x94, 9, int)
_CHUNK = 128 * 1024 * 1024
_READ = 1024 * 1024


class PackageChanged(Exception):
    """A file of the package is not as it was unpacked. The message is a clause that names it."""


def create(source: str, folder: str) -> None:
    """Create the folder with the files of a package. Removes an earlier folder.

    Raises OSError, PackageChanged.
    """
    _create(source, folder, of_package=True)


def fork(source: str, folder: str) -> None:
    """Create the folder with the files of another process's working folder. Raises OSError."""
    _create(source, folder, of_package=False)


def protect(folder: str) -> None:
    """Make a working folder read-only, because forks of its process know its path. Raises OSError."""
    for place, _, files in os.walk(folder, topdown=False):
        for path in (*(os.path.join(place, name) for name in files), place):
            if not os.path.islink(path):
                os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) & ~0o222)


def remove(folder: str) -> None:
    """Remove the folder, even if the process has made its folders read-only. Raises OSError."""
    if not os.path.lexists(folder):
        return
    os.chmod(folder, stat.S_IRWXU)
    emptied = [folder]
    for place, folders, files in os.walk(folder):
        for path in (os.path.join(place, name) for name in (*folders, *files)):
            if os.path.isdir(path) and not os.path.islink(path):
                os.chmod(path, stat.S_IRWXU)
                emptied.append(path)
            else:
                os.unlink(path)
    for path in reversed(emptied):
        os.rmdir(path)


def _create(source: str, folder: str, *, of_package: bool) -> None:
    remove(folder)
    os.makedirs(folder)
    pending = [""]
    while pending:
        place = pending.pop()
        with os.scandir(os.path.join(source, place)) as entries:
            for entry in entries:
                name = os.path.join(place, entry.name)
                target = os.path.join(folder, name)
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(target)
                    pending.append(name)
                else:
                    _add(entry, target, of_package=of_package)


def _add(entry: os.DirEntry[str], target: str, *, of_package: bool) -> None:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(entry.path), target)
    elif stat.S_ISREG(status.st_mode):  # others, as sockets, belong to the process that made them
        if of_package and status.st_size >= LARGE and not is_as_unpacked(status):
            raise PackageChanged(f"{entry.path} was changed after it was unpacked")
        if status.st_size < LARGE or not _share(entry.path, target, status):
            _copy(entry.path, target, status)


def _share(source: str, target: str, status: os.stat_result) -> bool:
    """Clone the file, or link one that is still the package's. Returns False if neither is possible."""
    if _clone(source, target, status):
        return True
    if not is_as_unpacked(status):
        return False
    try:
        os.link(source, target)
    except OSError:  # another file system, or as many links as it allows
        return False
    return True


def _clone(source: str, target: str, status: os.stat_result) -> bool:
    """Share the file's blocks. Returns False, and leaves nothing, where that is impossible."""
    if sys.platform != "linux":
        return False
    try:
        with open(source, "rb", buffering=0) as old, _new(target, status) as new:
            fcntl.ioctl(new, _CLONE, old.fileno())
    except OSError as error:
        os.unlink(target)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def _copy(source: str, target: str, status: os.stat_result) -> None:
    with open(source, "rb", buffering=0) as old, _new(target, status) as new:
        if sys.platform == "linux":
            while os.sendfile(new.fileno(), old.fileno(), None, _CHUNK):
                pass
            return
        while data := memoryview(old.read(_READ)):
            while data:
                data = data[new.write(data) :]


def _new(path: str, status: os.stat_result) -> FileIO:
    mode = 0o755 if status.st_mode & 0o100 else 0o644
    return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w")
