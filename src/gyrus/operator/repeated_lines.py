"""Folding of repeated log lines, so that an attack or a loop does not rotate the rest of the log away."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds over which equal lines are counted."""
MOST = 20
"""Equal lines that are written within WINDOW. The others are counted."""
KINDS = 1000
"""Kinds of lines to remember."""

_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+")

Kind = tuple[str, int, str]
"""Logger, level and text without its numbers."""


@dataclass(slots=True)
class _Count:
    """The lines of one kind in its present window."""

    began: float
    lines: int = 0


class FoldedLines(logging.Handler):
    """A handler that passes records on, except warnings and errors that are logged too often.

    The last line before a gap announces it, and the first one after it reports its lines. Lines below a
    warning always pass: they report what the user did, each once.
    """

    def __init__(self, *targets: logging.Handler, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._targets = targets
        self._now = now
        self._counts: dict[Kind, _Count] = {}

    def emit(self, record: logging.LogRecord) -> None:
        passed = record if record.levelno < logging.WARNING else self._folded(record)
        if passed is not None:
            for target in self._targets:
                target.handle(passed)

    def close(self) -> None:
        for target in self._targets:
            target.close()
        super().close()

    def _folded(self, record: logging.LogRecord) -> logging.LogRecord | None:
        """Return the record, or a copy with a note. Returns None if it is only counted."""
        count, dropped = self._counted(kind_of(record))
        if count.lines > MOST:
            return None
        if count.lines == MOST:
            return _with_note(record, f"more such lines are only counted, for {WINDOW:.0f} s")
        return _with_note(record, f"and {dropped} such lines before it") if dropped else record

    def _counted(self, kind: Kind) -> tuple[_Count, int]:
        """Count a line. Returns its count, and the lines that the last window dropped if a new one begins."""
        now, dropped = self._now(), 0
        count = self._counts.get(kind)
        if count is None or now - count.began >= WINDOW:
            dropped = max(0, count.lines - MOST) if count else 0
            self._counts.pop(kind, None)  # moves to the end, so that the first kind is the oldest one
            count = self._counts[kind] = _Count(now)
            if len(self._counts) > KINDS:
                del self._counts[next(iter(self._counts))]
        count.lines += 1
        return count, dropped


def kind_of(record: logging.LogRecord) -> Kind:
    """Return the kind of a line: its arguments and numbers make no difference."""
    return record.name, record.levelno, _NUMBERS.sub("#", str(record.msg))[:500]


def _with_note(record: logging.LogRecord, note: str) -> logging.LogRecord:
    """Return a copy of the record whose message ends with a note."""
    noted = logging.makeLogRecord(record.__dict__)
    noted.msg, noted.args = f"{record.getMessage()} ({note})", None
    return noted
