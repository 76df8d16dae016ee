"""Checking and unpacking of an uploaded archive. Nothing is ever written outside the folder.

An archive may contain only what :func:`gyrus.packaging.archive.pack` writes: plain files, and links that stay
inside.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gyrus.contract.package import UNPACKED_AT, is_as_unpacked
from gyrus.packaging.errors import BrokenArchive
from gyrus.packaging.selection import stays_inside

LONGEST_NAME = 2000
LONGEST_PART = 255
"""Bytes between two slashes, the limit of file systems."""

_UNREADABLE = (tarfile.TarError, ValueError, OverflowError, MemoryError, RecursionError)
"""Exceptions of the standard library's reader for hostile bytes."""


def check(archive: Path) -> None:
    """Raise BrokenArchive if :func:`unpack` would refuse the archive."""
    with _opened(archive) as tar:
        for _ in _members(tar):
            pass


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into a new folder. Files are read-only; folders are writable, for builds beside the files.

    Raises BrokenArchive.
    """
    folder.mkdir(parents=True)
    links: list[tarfile.TarInfo] = []
    with _opened(archive) as tar:
        for member in _members(tar):
            if member.issym():
                links.append(member)
            else:
                _write(tar, member, folder / member.name)
    for member in links:  # after all files, so that none is written through a link
        _link(member, folder)


def change(archive: Path, folder: Path) -> str | None:
    """Return a clause about a file that is not as it was unpacked. Returns None if all are.

    Raises BrokenArchive.
    """
    with _opened(archive) as tar:
        for member in _members(tar):
            path = folder / member.name
            try:
                status = path.lstat()
                same = _same_link(path, member) if member.issym() else _same_file(status, member)
            except OSError as error:
                return f"{path} cannot be read: {error.strerror}"
            if not same:
                return f"{path} was changed"
    return None


def _same_link(path: Path, member: tarfile.TarInfo) -> bool:
    return path.is_symlink() and os.readlink(path) == member.linkname


def _same_file(status: os.stat_result, member: tarfile.TarInfo) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size == member.size and is_as_unpacked(status)


@contextmanager
def _opened(archive: Path) -> Generator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            yield tar
    except _UNREADABLE as error:
        raise BrokenArchive(
            f"The upload is not a readable tar archive: {error}; pack the folder again."
        ) from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the entries; each is checked before the next is read."""
    leaves: set[str] = set()
    folders: set[str] = set()
    for member in tar:
        if fault := _fault(member, leaves, folders):
            raise BrokenArchive(f"The archive's entry {member.name!r} {fault}; pack the folder again.")
        leaves.add(member.name)
        folders.update(_parents(member.name))
        yield member


def _fault(member: tarfile.TarInfo, leaves: set[str], folders: set[str]) -> str | None:
    name = member.name
    inside = not posixpath.isabs(name) and name.split("/")[0] not in {"", ".", ".."}
    if not inside or posixpath.normpath(name) != name:
        return "does not name a file inside the folder"
    if (
        max(len(name), len(member.linkname)) > LONGEST_NAME
        or max(len(os.fsencode(part)) for part in name.split("/")) > LONGEST_PART
    ):
        return "has too long a name"
    if "\0" in name or "\0" in member.linkname:
        return "has a NUL character in its name"
    if not member.issym() and (not member.isreg() or member.issparse() or member.size < 0):
        return "is neither a file nor a link"
    if member.issym() and not stays_inside(name, member.linkname):
        return f"is a link to {member.linkname}, which leaves the folder"
    if name in leaves or name in folders or leaves.intersection(_parents(name)):
        return "occurs twice"
    return None


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content
    with content, _new(path, member.name) as file:
        shutil.copyfileobj(content, file, 2**20)
        if file.tell() != member.size:
            raise BrokenArchive(f"The archive ends within {member.name}; pack the folder again.")
    os.utime(path, (UNPACKED_AT, UNPACKED_AT))
    path.chmod(0o555 if member.mode & 0o100 else 0o444)


def _new(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError as error:
        message = f"{name} and another file have the same name on a file system that ignores case"
        raise BrokenArchive(f"{message}; rename one of them.") from error


def _link(member: tarfile.TarInfo, folder: Path) -> None:
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(member.linkname)
    if not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
        raise BrokenArchive(f"The archive's link {member.name} leaves the folder through another link.")
