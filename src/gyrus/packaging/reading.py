"""The entries of a tar archive, one at a time, in memory that does not grow with the archive.

The standard library's reader keeps every entry, and reads extended headers of any size into memory. This one
knows only what :func:`gyrus.packaging.archive.pack` writes: files, links, and extended headers.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gyrus.packaging.errors import BrokenArchive

BLOCK = tarfile.BLOCKSIZE
LONGEST_HEADER = 16 * 1024
"""Bytes of an extended header. It has the names of one entry."""
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_UNREADABLE = (tarfile.TarError, ValueError, OverflowError)
"""Exceptions of the standard library for damaged headers."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a link in an archive."""

    name: str
    link: str | None
    """Target of a link; None for a file."""
    executable: bool
    size: int
    """Bytes of the file."""
    offset: int
    """Position of its content in the archive."""


def read_members(archive: BinaryIO) -> Iterator[Member]:
    """Yield the entries as they are named. Raises BrokenArchive."""
    end = archive.seek(0, os.SEEK_END)
    archive.seek(0)
    extended: dict[str, str] = {}
    while any(block := archive.read(BLOCK)):
        header = _header(block)
        if header.type == tarfile.XHDTYPE:
            extended = _extended(archive, header.size)
            continue
        content = archive.tell()
        member = _member(header, extended, content)
        if not 0 <= member.size <= end - content:
            raise BrokenArchive(f"The archive ends within {member.name}; pack the folder again.")
        yield member
        archive.seek(content + _padded(member.size))
        extended = {}
    if len(block) < BLOCK:
        raise _unreadable("it ends without an end mark")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except _UNREADABLE as error:
        raise _unreadable(error) from error


def _unreadable(why: object) -> BrokenArchive:
    return BrokenArchive(f"The upload is not a readable tar archive: {why}; pack the folder again.")


def _extended(archive: BinaryIO, size: int) -> dict[str, str]:
    """Return the records of an extended header: ``27 path=a/long/name.txt`` and a line feed, each."""
    if not 0 <= size <= LONGEST_HEADER:
        raise _unreadable(f"a header has more than {LONGEST_HEADER} bytes")
    rest = archive.read(_padded(size))[:size]
    records: dict[str, str] = {}
    while rest:
        digits, space, _ = rest.partition(b" ")
        length = int(digits) if space and digits.isdigit() and len(digits) < 6 else 0
        record, rest = rest[len(digits) + 1 : length], rest[length:]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise _unreadable("an extended header is damaged")
        records[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
    return records


def _member(header: tarfile.TarInfo, extended: dict[str, str], content: int) -> Member:
    name = extended.get("path", header.name)
    is_link = header.type == tarfile.SYMTYPE
    known = extended.keys() <= {"path", "linkpath", "size", "hdrcharset"}
    size = _number(extended["size"]) if "size" in extended else header.size
    if not known or (size if is_link else header.type not in _FILES):
        message = f"The archive's entry {name!r} is neither a file nor a link"
        raise BrokenArchive(f"{message}; pack the folder again.")
    link = extended.get("linkpath", header.linkname) if is_link else None
    return Member(name, link, bool(header.mode & 0o100), size, content)


def _number(digits: str) -> int:
    """Return a size from an extended header, which has one if the file has 8 GiB or more."""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1
