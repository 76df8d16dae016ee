"""Folders as a compressed tar archive: Python environments, which have links to places outside.

The archive of the same files has the same bytes: entries are sorted, and times and owners are left out.
"""

from __future__ import annotations

import os
import posixpath
import stat
import sys
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from gyrus.contract.package import UNPACKED_AT
from gyrus.packaging.errors import BrokenArchive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3
"""Level of the compression. Higher ones take far longer and save little."""
_DAMAGED = (tarfile.TarError, zstd.ZstdError, EOFError, UnicodeError)


def pack_folders(root: Path, names: Collection[str], into: BinaryIO) -> None:
    """Write the folders of these names, relative to ``root``, to ``into``. Raises OSError."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.nb_workers: min(os.cpu_count() or 1, 8),
    }
    with (
        zstd.ZstdFile(into, "wb", options=options) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(names):
            for entry in _entries(root, name):
                _add(archive, root / entry, entry)


def unpack_folders(archive: IO[bytes], root: Path, parents: Collection[str]) -> None:
    """Unpack an archive into ``root``, where none of its files exists.

    ``parents``: the only folders, relative to ``root``, into which the archive may unpack. Raises
    BrokenArchive and OSError.
    """
    links: list[tarfile.TarInfo] = []
    try:
        with (
            zstd.ZstdFile(archive, "rb") as plain,
            tarfile.open(fileobj=plain, mode="r|", format=tarfile.PAX_FORMAT) as members,
        ):
            for member in members:
                _check(member, parents)
                if member.issym():
                    links.append(member)
                else:
                    _write(members, member, root / member.name)
    except _DAMAGED as error:
        raise BrokenArchive(f"The archive cannot be read: {error}.") from error
    for link in links:  # after all files, so that none is written through a link
        path = root / link.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(link.linkname)


def _entries(root: Path, name: str) -> Iterator[str]:
    """Yield the folder and all that is in it, in the order of their names. Links are not followed."""
    yield name
    with os.scandir(root / name) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        inside = f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(root, inside)
        elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
            yield inside


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    status = path.lstat()
    info = tarfile.TarInfo(name)
    info.mtime = UNPACKED_AT
    if stat.S_ISDIR(status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(info)
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)
        archive.addfile(info)
    else:
        info.size, info.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        with path.open("rb") as file:
            archive.addfile(info, file)


def _check(member: tarfile.TarInfo, parents: Collection[str]) -> None:
    name = member.name
    inside = any(name == parent or name.startswith(f"{parent}/") for parent in parents)
    if not inside or posixpath.normpath(name) != name or "\0" in name:
        raise BrokenArchive(f"The archive's entry {name!r} does not belong to {' or '.join(parents)}.")
    if not (member.isreg() or member.isdir() or member.issym()):
        raise BrokenArchive(f"The archive's entry {name!r} is neither a file nor a folder nor a link.")


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = members.extractfile(member)
    assert content is not None
    with path.open("xb") as output:
        while chunk := content.read(1024 * 1024):
            output.write(chunk)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
    os.utime(path, (UNPACKED_AT, UNPACKED_AT))
