"""Checking and unpacking of an uploaded archive. Nothing is ever written outside the folder.

An archive may contain only what :func:`gyrus.packaging.archive.pack` writes: plain files, and links that stay
inside. Both functions examine the whole archive in the same way, before anything is written.
"""

from __future__ import annotations

import os
import posixpath
import stat
import tempfile
import unicodedata
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gyrus.contract.package import UNPACKED_AT, is_as_unpacked
from gyrus.packaging.errors import BrokenArchive
from gyrus.packaging.limits import MOST_ENTRIES, MOST_LINKS, name_fault
from gyrus.packaging.reading import Member, read_members
from gyrus.packaging.selection import stays_inside

CHUNK = 2**20
MOST_HOPS = 40
"""Links on the way to a file. Linux follows no more."""


def check(archive: Path, parent: Path) -> None:
    """Raise BrokenArchive if :func:`unpack` into a folder in ``parent`` would refuse the archive."""
    with archive.open("rb") as file:
        _examined(file, ignores_case(parent))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into a new folder. Files are read-only; folders are writable, for builds beside the files.

    Raises BrokenArchive.
    """
    folder.mkdir(parents=True)
    with archive.open("rb") as file, _reporting_collisions():
        members = _examined(file, ignores_case(folder))
        for member in members:
            if member.link is None:
                _write(file, member, folder / member.name)
        links = [member for member in members if member.link is not None]
        for member in links:  # after all files, so that none is written through a link
            _link(member, folder)
    _check_links(links, folder)


def change(archive: Path, folder: Path) -> str | None:
    """Return a clause about a file that is not as it was unpacked. Returns None if all are.

    Raises BrokenArchive.
    """
    with archive.open("rb") as file:
        for member in read_members(file):
            path = folder / member.name
            try:
                status = path.lstat()
                same = _same_file(status, member) if member.link is None else _same_link(path, member)
            except OSError as error:
                return f"{path} cannot be read: {error.strerror}"
            if not same:
                return f"{path} was changed"
    return None


def _same_link(path: Path, member: Member) -> bool:
    return path.is_symlink() and os.readlink(path) == member.link


def _same_file(status: os.stat_result, member: Member) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size == member.size and is_as_unpacked(status)


def ignores_case(folder: Path) -> bool:
    """Return whether the file system takes ``a`` and ``A`` for the same file."""
    with tempfile.NamedTemporaryFile(prefix=".case-", dir=folder) as probe:
        path = Path(probe.name)
        return path.with_name(path.name.swapcase()).exists()


def _examined(file: BinaryIO, ignoring_case: bool) -> list[Member]:
    """Return the entries, all checked, alone and together."""
    names = _Names(ignoring_case)
    members: list[Member] = []
    links: dict[str, str] = {}
    for member in read_members(file):
        if fault := _fault(member) or names.add(member.name):
            raise _broken(member, fault)
        members.append(member)
        if member.link is not None:
            links[names.key(member.name)] = member.link
            if len(links) > MOST_LINKS:
                raise BrokenArchive(f"The archive has more than {MOST_LINKS:,} links; replace them by files.")
    for member in members:
        if member.link is not None and not _stays(member.name, member.link, links, names):
            raise _broken(member, "is a link that leaves the folder through another link")
    return members


def _broken(member: Member, fault: str) -> BrokenArchive:
    return BrokenArchive(f"The archive's entry {member.name!r} {fault}; pack the folder again.")


class _Names:
    """The names of an archive's files, links and folders."""

    def __init__(self, ignoring_case: bool) -> None:
        self._ignoring_case = ignoring_case
        self._leaves: set[str] = set()
        self._folders: set[str] = set()

    def key(self, name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold() if self._ignoring_case else name

    def add(self, name: str) -> str | None:
        """Add the name of a file or link. Returns the fault if it cannot be beside the others."""
        key = self.key(name)
        parents = set(_parents(key))
        if key in self._leaves or key in self._folders or self._leaves & parents:
            return "occurs twice"
        self._leaves.add(key)
        self._folders |= parents
        if len(self._leaves) + len(self._folders) > MOST_ENTRIES:
            return f"is one too many: a package has at most {MOST_ENTRIES:,} files and folders"
        return None


def _fault(member: Member) -> str | None:
    name, link = member.name, member.link
    if "\0" in name or "\0" in (link or ""):
        return "has a NUL character in its name"
    if fault := name_fault(name) or name_fault(link or ""):
        return fault
    inside = not posixpath.isabs(name) and name.split("/")[0] not in {"", ".", ".."}
    if not inside or posixpath.normpath(name) != name:
        return "does not name a file inside the folder"
    if link is not None and not stays_inside(name, link):
        return f"is a link to {link}, which leaves the folder"
    return None


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _stays(name: str, target: str, links: Mapping[str, str], names: _Names) -> bool:
    """Return whether a link stays in the folder if all links on its way are followed, as the system does."""
    place = name.split("/")[:-1]
    ahead = target.split("/")[::-1]
    hops = 1
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not place:
                return False
            place.pop()
        elif part not in {"", "."}:
            place.append(part)
            if (link := links.get(names.key("/".join(place)))) is not None:
                hops += 1
                if hops > MOST_HOPS:
                    return True  # the system refuses to follow it
                place.pop()
                ahead += link.split("/")[::-1]
    return True


def _write(file: BinaryIO, member: Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file.seek(member.offset)
    left = member.size
    with path.open("xb") as output:
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise BrokenArchive(f"The archive ends within {member.name}; pack the folder again.")
            output.write(chunk)
            left -= len(chunk)
    os.utime(path, (UNPACKED_AT, UNPACKED_AT))
    path.chmod(0o555 if member.executable else 0o444)


def _link(member: Member, folder: Path) -> None:
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(member.link or "")


@contextmanager
def _reporting_collisions() -> Generator[None]:
    """Report names that the file system does not distinguish, beyond the rules that :class:`_Names` knows."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        message = f"{error.filename} and another file have the same name on this file system"
        raise BrokenArchive(f"{message}; rename one of them.") from error


def _check_links(links: list[Member], folder: Path) -> None:
    """Check on disk what was examined by the names: the last defence."""
    root = folder.resolve()
    for member in links:
        if not Path(os.path.realpath(folder / member.name)).is_relative_to(root):
            raise _broken(member, "is a link that leaves the folder through another link")
