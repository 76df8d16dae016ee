"""The limit of the replica's memory: it ends a process that uses too much before the machine runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gyrus.contract.replica import Reason
from gyrus.runtime.supervisor.process_state import Failure
from gyrus.runtime.supervisor.processtable import family, resident

INTERVAL = 0.2
"""Seconds between two samples of the memory."""
CENSUS = 1.0
"""Seconds between two searches for descendants."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Offence:
    """An excess of memory, with the process that uses most of it (its descendants included)."""

    pid: int
    verdict: Failure


class MemoryWatch:
    """A sample every :data:`INTERVAL`. The supervisor's own memory is not counted."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._families: dict[int, list[int]] = {}
        self._census_at = 0.0
        self.wakes_at = 0.0

    def look(self, roots: Sequence[int], now: float) -> Offence | None:
        """Sample the memory of the replica's processes ``roots``. Returns None if it is within the limit."""
        if now < self.wakes_at:
            return None
        self.wakes_at = now + INTERVAL
        if now >= self._census_at or self._families.keys() != set(roots):
            self._families = {root: family(root) for root in roots}
            self._census_at = now + CENSUS
        used = {root: sum(map(resident, members)) for root, members in self._families.items()}
        return offence(used, self._allowed)


def offence(used: Mapping[int, int], allowed: int) -> Offence | None:
    """Compare the bytes by process with the limit. Pure. Returns None if they are within it."""
    total = sum(used.values())
    if total <= allowed:
        return None
    message = f"it used {_mib(total)}, but compute.mem allows {_mib(allowed)}; raise compute.mem"
    return Offence(max(used, key=lambda pid: used[pid]), Failure(Reason.OUT_OF_MEMORY, message))


def _mib(size: int) -> str:
    return f"{-(-size // MIB)} MiB"
