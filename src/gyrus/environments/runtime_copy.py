"""gyrus's own code in a replica: a copy by content, so that several versions exist side by side.

Therefore a replica does not depend on the operator's installation, nor on its upgrade.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gyrus import contract

RUNTIME_REQUIREMENTS = (
    "backports.zstd>=1.0; python_version < '3.14'",
    "httptools>=0.6.1",
    "msgspec>=0.18.6",
    "orjson>=3.9.15",
    "uvloop>=0.19",
)
"""Packages that the runtime needs. The ranges are wide, to agree with the handler's own requirements."""

PARTS = ("__init__.py", "py.typed", "aio", "contract", "queueing", "runtime", "testing", "testing.py")
"""Parts of the package that a replica needs. Of the last two, one exists."""


@dataclass(frozen=True, slots=True)
class RuntimeCode:
    """The runtime that is installed with the operator."""

    source: Path
    """The package's folder."""
    digest: str

    @classmethod
    @cache
    def installed(cls) -> RuntimeCode:
        """Return the installed runtime. The first call computes its digest, which takes some 10 ms."""
        return cls.at(Path(contract.__path__[0]).parent)

    @classmethod
    def at(cls, source: Path) -> RuntimeCode:
        return cls(source, _digest(source))

    def place(self, runtimes: Path) -> Path:
        """Copy it unless it is there. Return the folder to put on a replica's path. Raises OSError."""
        place = runtimes / self.digest
        if place.is_dir():
            return place
        runtimes.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=runtimes))
        try:
            for relative in _files(self.source):
                target = fresh / "gyrus" / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.source / relative, target)
            fresh.chmod(0o755)
            _rename(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return place


def _rename(fresh: Path, place: Path) -> None:
    try:
        os.rename(fresh, place)
    except OSError:
        if not place.is_dir():  # else another process has just placed the same copy
            raise


def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    for relative in _files(source):
        content = (source / relative).read_bytes()
        digest.update(f"{relative.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _files(source: Path) -> Iterator[Path]:
    for part in PARTS:
        if (source / part).is_file():
            yield Path(part)
        for file in sorted((source / part).rglob("*")):
            if file.is_file() and file.suffix in (".py", ".typed"):
                yield file.relative_to(source)
