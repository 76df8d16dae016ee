"""The prices that AWS answered last, in a file of the user's cache folder."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gyrus.cluster.aws.prices.table import PriceTable, UnitPrice

VERSION = 2


@dataclass(frozen=True, slots=True)
class CachedPrices:
    """The contents of a region's file."""

    version: int
    at: float | None
    """Seconds since the epoch at which the Pricing API answered. None if it never did."""
    spot_at: float | None
    """The same for spot prices."""
    prices: dict[str, UnitPrice]


@dataclass(frozen=True, slots=True)
class PriceCache:
    """A folder with a file for each region. A file that cannot be read counts as missing."""

    folder: Path

    @classmethod
    def of_user(cls) -> PriceCache:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "gyrus" / "prices")

    def read(self, region: str) -> CachedPrices | None:
        try:
            cached = msgspec.json.decode(self._file(region).read_bytes(), type=CachedPrices)
        except (OSError, msgspec.DecodeError):
            return None
        return cached if cached.version == VERSION else None

    def write(self, table: PriceTable, at: float | None, spot_at: float | None) -> None:
        """Keep a table's prices. Without a place to write, does nothing: they are asked for again."""
        file = self._file(table.region)
        document = msgspec.json.encode(CachedPrices(VERSION, at, spot_at, dict(table.prices)))
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(document)
            temporary.replace(file)

    def _file(self, region: str) -> Path:
        return self.folder / f"{region}.json"
