"""What a deploy sends: the specifications in a YAML file, and an archive of the folder around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Package:
    """An archive."""

    digest: str
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)

    def chunks(self, told: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
        """The archive's bytes; ``told`` hears how many have been taken, and how many there are."""
        for start in range(0, self.size, CHUNK):
            yield self.content[start : start + CHUNK]
            if told:
                told(min(start + CHUNK, self.size), self.size)


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that one deploy is about."""

    file: Path
    specs: Sequence[dict[str, Any]]
    package: Package | None

    @classmethod
    def read(cls, path: Path) -> Project:
        """A YAML file, or a folder with ``gyrus.yaml``. Raises SpecError, PackagingError."""
        from gyrus.packaging.archive import pack
        from gyrus.spec.load import load

        read = load(path)
        specs = [spec.model_dump(mode="json") for spec in read.apis]
        packed = pack(read.folder)
        return cls(read.path, specs, Package(packed.digest, packed.content))
