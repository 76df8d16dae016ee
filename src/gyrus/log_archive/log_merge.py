"""One log out of two copies of it: that of the archive, and another one. Pure."""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum

from gyrus.contract.operator import LogLine

REMEMBERED = 20_000
"""Lines that only one copy has shown so far. The oldest beyond them are forgotten."""


class Copy(IntEnum):
    """The origin of a line."""

    CLUSTER = 0
    ARCHIVE = 1
    EXPORT = 2


class LogMerge:
    """Admits each line once, from the copy that has it first.

    A line may be repeated in the log itself: it is admitted as often as the copy with most of it has it.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._surplus: OrderedDict[object, int] = OrderedDict()
        """By line: how many more of it the other copy has shown than the archive's, or negative."""

    def admit(self, copy: Copy, line: LogLine) -> bool:
        """Return True if the other copy has not shown this line yet."""
        key = (line.replica, line.process, line.time, line.stream, line.message)
        own = -1 if copy is Copy.ARCHIVE else 1
        before = self._surplus.pop(key, 0)
        if before + own:
            self._surplus[key] = before + own
            if len(self._surplus) > self._remembered:
                self._surplus.popitem(last=False)
        return before * own >= 0
