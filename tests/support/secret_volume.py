"""A folder like the volume of a Secret: all of its files are replaced at once, by a rename."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DATA = "..data"


@dataclass
class SecretVolume:
    folder: Path
    _versions: itertools.count[int] = field(default_factory=itertools.count)

    def write(self, data: Mapping[str, str]) -> None:
        """Replace the content, as the kubelet does."""
        version = self.folder / f"..version-{next(self._versions)}"
        version.mkdir(parents=True)
        for name, text in data.items():
            (version / name).write_text(text)
        new = self.folder / "..data_tmp"
        new.symlink_to(version.name)
        new.rename(self.folder / DATA)
        for name in data:
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(f"{DATA}/{name}")
