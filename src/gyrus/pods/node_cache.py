"""Python environments in a folder of the node, which its pods share.

For each key there are ``<key>`` (the environment), ``<key>.runtimes`` (the code of gyrus's runtime for it),
``<key>.json`` (an :class:`Entry`), and two files that are locked:

- ``<key>.change``: by the one process that adds or removes the environment.
- ``<key>.use``: shared, by the supervisor of each replica that runs with it. Its modification time is that of
  the last fetch.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from gyrus.contract.pods import use_lock

START = 3600.0
"""Seconds after a fetch in which the replica may still be starting: until it holds its lock."""
_ENTRY, _CHANGE, _NEW, _RUNTIMES = ".json", ".change", ".new", ".runtimes"


@dataclass(frozen=True, slots=True)
class Entry:
    """The record of one complete environment."""

    digest: str
    """SHA-256 of the archive that it comes from."""
    size: int
    """Bytes of its files."""


@dataclass(frozen=True, slots=True)
class Cached:
    """One environment, as its removal sees it."""

    key: str
    size: int
    used_at: float
    """Time of the last fetch, in seconds since the epoch."""
    in_use: bool


def to_remove(cached: Iterable[Cached], limit: int, now: float) -> list[str]:
    """Return the environments to remove, so that at most ``limit`` bytes stay: the longest unused first.

    Those that replicas use or may be starting with stay, even above the limit.
    """
    known = sorted(cached, key=lambda each: each.used_at)
    excess = sum(each.size for each in known) - limit
    removed: list[str] = []
    for each in known:
        if excess > 0 and not each.in_use and now - each.used_at >= START:
            removed.append(each.key)
            excess -= each.size
    return removed


class EnvironmentsOfNode:
    """The folder, for the fetchers of several pods and for the process that keeps it small. Calls block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, key: str) -> Path:
        return self.folder / key

    def runtimes(self, key: str) -> Path:
        return self.folder / f"{key}{_RUNTIMES}"

    def entry(self, key: str) -> Entry | None:
        """Return the record of an environment. Returns None if it is not there, or not complete."""
        try:
            entry = Entry(**json.loads((self.folder / f"{key}{_ENTRY}").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return entry if self.environment(key).is_dir() and self.runtimes(key).is_dir() else None

    @contextlib.contextmanager
    def changing(self, key: str) -> Generator[Path]:
        """Wait until no other process changes this environment. Yield an empty folder of the same volume."""
        fresh = self.folder / f"{key}{_NEW}"
        with (self.folder / f"{key}{_CHANGE}").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            use = Path(use_lock(str(self.folder), key))
            use.touch()
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            try:
                yield fresh
            finally:
                shutil.rmtree(fresh, ignore_errors=True)

    def add(self, key: str, environment: Path, runtimes: Path, digest: str) -> None:
        """Move complete folders of the same volume to their place. Call it while changing the environment."""
        size = sum(_size(folder) for folder in (environment, runtimes))
        runtimes.rename(self.runtimes(key))
        environment.rename(self.environment(key))
        record = environment.with_name(_ENTRY)
        record.write_text(json.dumps(asdict(Entry(digest, size))))
        record.rename(self.folder / f"{key}{_ENTRY}")  # last: it makes all complete

    def discard(self, key: str) -> bool:
        """Remove an environment, unless a replica uses it. Call it while changing the environment.

        Returns True if it is gone.
        """
        with Path(use_lock(str(self.folder), key)).open() as use:
            if not _locks(use):
                return False
            (self.folder / f"{key}{_ENTRY}").unlink(missing_ok=True)  # first: the rest does not count then
            for folder in (self.environment(key), self.runtimes(key)):
                shutil.rmtree(folder, ignore_errors=True)
            return True

    def shrink(self, limit: int) -> list[str]:
        """Remove unused environments beyond ``limit`` bytes. Return the keys of those that are gone."""
        gone: list[str] = []
        for key in to_remove([*self._cached()], limit, time.time()):
            with (self.folder / f"{key}{_CHANGE}").open("w") as file:
                # Another process changes it if it cannot be locked: a replica is about to use it.
                if _locks(file) and self.discard(key):
                    gone.append(key)
        return gone

    def _cached(self) -> Generator[Cached]:
        for record in self.folder.glob(f"*{_ENTRY}"):
            key = record.name.removesuffix(_ENTRY)
            entry, use = self.entry(key), Path(use_lock(str(self.folder), key))
            if entry and use.exists():
                yield Cached(key, entry.size, use.stat().st_mtime, in_use=_is_shared(use))


def _is_shared(path: Path) -> bool:
    """Return True if another process has locked the file."""
    with path.open() as file:
        return not _locks(file)


def _locks(file: IO[str]) -> bool:
    """Lock a file until it is closed. Return False if another process has locked it, in whatever way."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(folder: Path) -> int:
    """Return the bytes that the files of a folder take on the disk."""
    return sum(
        os.lstat(os.path.join(place, name)).st_blocks * 512
        for place, _, names in os.walk(folder)
        for name in names
    )
