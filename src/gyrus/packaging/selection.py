"""The entries of a folder's package: files and links, in the order of their names.

Empty folders are left out: a clone of a repository has none, and a package is the same on every machine.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from gyrus.packaging.errors import IGNORE_FILE, FolderRefused
from gyrus.packaging.ignoring import Ignoring, never_packed
from gyrus.packaging.limits import DEEPEST, MOST_ENTRIES, MOST_LINKS, name_fault


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file or a link."""

    name: str
    """Relative to the folder, with slashes."""
    path: Path
    size: int = 0
    executable: bool = False
    """Always False on Windows, where files have no such bit."""
    link: str | None = None
    """Target of a link, relative to the link, with slashes; None for a file."""


def select(folder: Path, *, left_out: Collection[Path] = ()) -> list[ArchiveEntry]:
    """Return the folder's entries.

    ``left_out`` names folders, at any place, that are not part of the project. Raises FolderRefused.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise FolderRefused(f"{folder} is not a folder; give the folder of the project.")
    apart = frozenset(path.resolve() for path in left_out)
    entries = list(_bounded(_below(root, root, "", None, apart)))
    return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _bounded(entries: Iterator[ArchiveEntry]) -> Iterator[ArchiveEntry]:
    """Yield the entries; raise FolderRefused at the first one that a package cannot hold."""
    folders: set[str] = set()
    links = 0
    for count, entry in enumerate(entries, 1):
        if fault := name_fault(entry.name) or name_fault(entry.link or ""):
            raise FolderRefused(
                f"{entry.name} {fault}; rename it, or leave it out with a line in {IGNORE_FILE}."
            )
        folders.update(_folders_of(entry.name))
        links += entry.link is not None
        if count + len(folders) > MOST_ENTRIES or links > MOST_LINKS:
            raise FolderRefused(
                f"The folder has more than {MOST_ENTRIES:,} files and folders, or {MOST_LINKS:,} links, "
                f"the most that a package may have; leave folders such as data/ out in {IGNORE_FILE}."
            )
        yield entry


def _folders_of(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _below(
    root: Path, path: Path, prefix: str, outer: Ignoring | None, apart: frozenset[Path]
) -> Iterator[ArchiveEntry]:
    ignoring = Ignoring.of(path, prefix, outer)
    for item in _scan(path, prefix):
        place, name = Path(item.path), prefix + item.name
        is_folder = item.is_dir(follow_symlinks=False)
        unwanted = never_packed(place, is_file=item.is_file(follow_symlinks=False)) or place in apart
        if unwanted or ignoring.ignores(f"{name}/" if is_folder else name):
            continue
        if is_folder and name.count("/") + 2 > DEEPEST:
            raise FolderRefused(
                f"The folder {name} is in more than {DEEPEST - 2} folders, one in the other; "
                f"leave it out with a line in {IGNORE_FILE}."
            )
        if is_folder:
            yield from _below(root, place, f"{name}/", ignoring, apart)
        elif item.is_symlink():
            yield ArchiveEntry(name, place, link=_link(root, place, name))
        else:
            yield _file(place, name, item.stat(follow_symlinks=False))


def _scan(path: Path, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as items:
            return list(items)
    except OSError as error:
        name = prefix or str(path)
        remedy = f"check its permissions, or leave it out with a line in {IGNORE_FILE}"
        raise FolderRefused(f"The folder {name} cannot be read: {error.strerror}; {remedy}.") from error


def _file(path: Path, name: str, status: os.stat_result) -> ArchiveEntry:
    if not stat.S_ISREG(status.st_mode):
        raise FolderRefused(
            f"{name} is {_kind(status.st_mode)}, which cannot be packed; "
            f"remove it, or leave it out with a line in {IGNORE_FILE}."
        )
    executable = os.name != "nt" and bool(status.st_mode & stat.S_IXUSR)
    return ArchiveEntry(name, path, status.st_size, executable)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISSOCK: "a socket",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((kind for test, kind in kinds.items() if test(mode)), "no file")


def _link(root: Path, path: Path, name: str) -> str:
    """Return a link's target. It must stay in the folder, even if the folder is moved or renamed."""
    target = os.readlink(path).replace(os.sep, "/")
    stays = stays_inside(name, target) and Path(os.path.realpath(path)).is_relative_to(root)
    if not stays:
        raise FolderRefused(
            f"{name} is a link to {target}, which leaves the folder; "
            f"replace it by a copy of the file, or leave it out with a line in {IGNORE_FILE}."
        )
    return target


def stays_inside(name: str, target: str) -> bool:
    """Return whether a link at ``name`` stays in the folder, by the names alone."""
    if posixpath.isabs(target) or not target:
        return False
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return place != ".." and not place.startswith("../")
