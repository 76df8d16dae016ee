"""The replica's memory, watched: whoever uses too much is told before the machine suffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gyrus.contract.replica import Reason
from gyrus.runtime.supervisor.process_state import Failure
from gyrus.runtime.supervisor.processtable import family, resident

INTERVAL = 0.2
"""Seconds between two looks at the memory."""
CENSUS = 1.0
"""Seconds between two looks at who the descendants are."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Offence:
    """More memory is used than is allowed, and this process (with its descendants) uses most of it."""

    pid: int
    verdict: Failure


class MemoryWatch:
    """Looks every :data:`INTERVAL`. What the supervisor itself uses is not counted."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._families: dict[int, list[int]] = {}
        self._census_at = 0.0
        self.wakes_at = 0.0

    def look(self, roots: Sequence[int], now: float) -> Offence | None:
        """``roots``: the replica's processes."""
        if now < self.wakes_at:
            return None
        self.wakes_at = now + INTERVAL
        if now >= self._census_at or self._families.keys() != set(roots):
            self._families = {root: family(root) for root in roots}
            self._census_at = now + CENSUS
        used = {root: sum(map(resident, members)) for root, members in self._families.items()}
        return offence(used, self._allowed)


def offence(used: Mapping[int, int], allowed: int) -> Offence | None:
    """``used``: bytes by process. Pure."""
    total = sum(used.values())
    if total <= allowed:
        return None
    told = f"it used {_mib(total)}, and compute.mem allows {_mib(allowed)}; raise it"
    return Offence(max(used, key=lambda pid: used[pid]), Failure(Reason.OUT_OF_MEMORY, told))


def _mib(size: int) -> str:
    return f"{-(-size // MIB)} MiB"
