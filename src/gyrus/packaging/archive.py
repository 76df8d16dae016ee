"""A folder as a plain tar archive, with the same bytes on every machine.

Entries are sorted. Times, owners and all mode bits except the executable bit are left out. Files have no
executable bit on Windows, so a project with executable files has another digest there.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from gyrus.contract.home import Home
from gyrus.contract.operator import LARGEST_PACKAGE
from gyrus.packaging.errors import IGNORE_FILE, FolderRefused, FolderTooLarge, reporting_full_storage
from gyrus.packaging.selection import ArchiveEntry, select

BLOCK = tarfile.BLOCKSIZE
CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Archive:
    """A written archive."""

    digest: str
    """SHA-256 of the archive's bytes, in hex."""
    size: int
    """Bytes of the archive."""
    files: tuple[str, ...]
    """Names of the files in it, sorted."""


def pack(
    folder: Path,
    into: BinaryIO,
    *,
    needed: Iterable[str] = (),
    left_out: Collection[Path] | None = None,
    without: Collection[str] = (),
    limit: int = LARGEST_PACKAGE,
) -> Archive:
    """Write the archive of ``folder`` to ``into``.

    ``needed`` names files that must be in the archive. ``left_out`` names folders that are not part of the
    project (by default the platform's own home). ``without`` names files that are not part of it.

    Raises FolderRefused and StorageFull.
    """
    entries = select(folder, left_out=(Home.default().root,) if left_out is None else left_out)
    entries = [entry for entry in entries if entry.name not in without]
    _check_needed(entries, needed)
    _check_size(entries, limit)
    output = _Output(into)
    with reporting_full_storage("the package"):
        for entry in entries:
            _write(entry, output)
        output.write(bytes(2 * BLOCK))
    return Archive(output.hash.hexdigest(), output.size, tuple(entry.name for entry in entries))


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class _Output:
    """A sink that counts and hashes the bytes that it passes on."""

    def __init__(self, into: _Sink) -> None:
        self._into = into
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._into.write(data)
        self.hash.update(data)
        self.size += len(data)


def _check_needed(entries: list[ArchiveEntry], needed: Iterable[str]) -> None:
    names = {entry.name for entry in entries}
    for name in sorted({os.path.normpath(name).replace(os.sep, "/") for name in needed} - names):
        raise FolderRefused(
            f"{name} is required, but an ignore file leaves it out; add the line !{name} to {IGNORE_FILE}."
        )


def _check_size(entries: list[ArchiveEntry], limit: int) -> None:
    size = 2 * BLOCK + sum(BLOCK + _padded(entry.size) for entry in entries)
    if size <= limit:
        return
    largest = sorted(entries, key=lambda entry: entry.size, reverse=True)[:5]
    listed = "".join(f"\n  {readable(entry.size):>10}  {entry.name}" for entry in largest)
    raise FolderTooLarge(
        f"The folder is too large for a package: {readable(size)}, and {readable(limit)} are allowed; "
        f"list unneeded files in {IGNORE_FILE}. The largest files:{listed}"
    )


def _write(entry: ArchiveEntry, output: _Output) -> None:
    output.write(_header(entry))
    if entry.link is None:
        for chunk in _content(entry):
            output.write(chunk)
        output.write(bytes(_padded(entry.size) - entry.size))


def _header(entry: ArchiveEntry) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.mode = 0o755 if entry.executable else 0o644
    info.size = entry.size
    if entry.link is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(entry: ArchiveEntry) -> Iterator[bytes]:
    """Yield the file's bytes, as many as it had when it was selected."""
    try:
        with entry.path.open("rb") as file:
            before = os.fstat(file.fileno())
            left = entry.size
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
            after = os.fstat(file.fileno())
    except OSError as error:
        remedy = f"check its permissions, or leave it out with a line in {IGNORE_FILE}"
        raise FolderRefused(f"{entry.name} cannot be read: {error.strerror}; {remedy}.") from error
    # The archive's digest must describe one state of the file, not a mixture of two.
    if left or (before.st_size, before.st_mtime_ns) != (entry.size, after.st_mtime_ns):
        raise FolderRefused(f"{entry.name} changed while it was packed; try again when it no longer changes.")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def readable(size: int) -> str:
    """Format a size: ``1.5 GiB``."""
    value, units = float(size), iter(("bytes", "KiB", "MiB", "GiB"))
    unit = next(units)
    while value >= 1024 and (larger := next(units, None)):
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
