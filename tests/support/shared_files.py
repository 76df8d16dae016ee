"""A store of shared files in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from gyrus.packaging.shared_folder import SharedFile


@dataclass
class MemoryFiles:
    """Implements :class:`gyrus.packaging.shared_folder.SharedFiles`."""

    files: dict[str, tuple[SharedFile, bytes]] = field(default_factory=dict[str, tuple[SharedFile, bytes]])

    async def load(self) -> dict[str, SharedFile]:
        return {name: file for name, (file, _) in self.files.items()}

    async def put(self, name: str, file: SharedFile, source: Path) -> None:
        self.files[name] = (file, source.read_bytes())

    async def read(self, name: str) -> AsyncIterator[bytes]:
        if name in self.files:
            yield self.files[name][1]

    async def signed_url(self, name: str) -> str | None:
        return None

    async def use(self, name: str, at: float) -> None:
        file, content = self.files[name]
        self.files[name] = (replace(file, used_at=at), content)

    async def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self.files.pop(name, None)
