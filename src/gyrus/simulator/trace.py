"""A record of traffic: the arrival of each request, and the other columns about it.

TraceError    the file is not a trace; the message names the file and the line
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

TIME_NAMES = (
    "timestamp",
    "time",
    "arrival",
    "arrival_time",
    "arrived",
    "arrived_at",
    "datetime",
    "date",
    "ts",
)
"""Names of columns that hold times, in lower case. Without such a column, the first one with times is
used."""

_DELIMITERS = ",;\t"


class TraceError(Exception):
    """An invalid trace. The message ``trace.csv:17: …`` has the file, the line, the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order of their arrival."""

    name: str
    """The file's name."""
    start: float
    """Time of the first request, in seconds since the epoch. A trace of plain seconds begins in 1970."""
    arrivals: Sequence[float]
    """Seconds from the first request, never falling."""
    columns: Mapping[str, Sequence[str]]
    """By the column's name: the other values of each request, unchanged."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def length(self) -> float:
        """Seconds from the first request to the last."""
        return self.arrivals[-1] if self.arrivals else 0.0

    def first(self, seconds: float) -> Trace:
        """Return the requests of the first ``seconds``."""
        return self._only([n for n, arrival in enumerate(self.arrivals) if arrival < seconds])

    def thinned(self, share: float) -> Trace:
        """Return a ``share`` (0 to 1) of the requests, evenly spread and always the same ones.

        >>> Trace("t", 0.0, (0.0, 1.0, 2.0, 3.0), {}).thinned(0.5).arrivals
        (0.0, 2.0)
        """
        return self._only([n for n in range(len(self)) if math.ceil(n * share) < math.ceil((n + 1) * share)])

    def faster(self, speed: float) -> Trace:
        """Return the same requests with their times divided by ``speed``."""
        return replace(self, arrivals=tuple(arrival / speed for arrival in self.arrivals))

    def _only(self, chosen: Sequence[int]) -> Trace:
        """Return the chosen requests.

        Times still count from the trace's first one, which must be among them.
        """
        return replace(
            self,
            arrivals=tuple(self.arrivals[n] for n in chosen),
            columns={name: tuple(values[n] for n in chosen) for name, values in self.columns.items()},
        )


def read(path: Path) -> Trace:
    """Read a CSV file with one line per request and a column with its time.

    A time is a number of seconds, or a date with a time (``2023-11-16 18:17:03.9799600``, RFC 3339; UTC if it
    has no zone). The first line names the columns; without names, they are ``column1``, ``column2``, ….

    Raises TraceError.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _trace(path, file.read())
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: is not UTF-8 text; is it a CSV file?") from error


def _trace(path: Path, text: str) -> Trace:
    rows = list(_rows(path, text.splitlines(keepends=True)))
    names, rows = _headed(path, rows)
    place = _time_column(path, names, rows[0][1])
    times = _times(path, names[place], place, rows)
    order = sorted(range(len(rows)), key=times.__getitem__)
    start = times[order[0]]
    others = {name: number for number, name in enumerate(names) if number != place}
    return Trace(
        name=path.name,
        start=start,
        arrivals=tuple(times[n] - start for n in order),
        columns={name: tuple(rows[n][1][number] for n in order) for name, number in others.items()},
    )


_Row = tuple[int, list[str]]
"""A line's number and its cells."""


def _rows(path: Path, lines: Sequence[str]) -> Iterator[_Row]:
    first = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter=max(_DELIMITERS, key=first.count))
    width: int | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            width = width or len(cells)
            if len(cells) != width:
                raise TraceError(f"{path}:{reader.line_num}: has {len(cells)} columns, not {width} as before")
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise TraceError(f"{path}:{reader.line_num}: is not a line of CSV: {error}") from error


def _headed(path: Path, rows: list[_Row]) -> tuple[list[str], list[_Row]]:
    """Return the columns' names and the lines below them."""
    if rows and any(_kind(cell) for cell in rows[0][1]):
        return [f"column{number + 1}" for number in range(len(rows[0][1]))], rows
    if len(rows) < 2:
        raise TraceError(f"{path}: has no requests; write a line with the columns' names, then one for each")
    return rows[0][1], rows[1:]


def _time_column(path: Path, names: Sequence[str], first: Sequence[str]) -> int:
    for number, name in enumerate(names):
        if name.lower() in TIME_NAMES:
            return number
    for number, cell in enumerate(first):
        if _kind(cell):
            return number
    known = ", ".join(names)
    raise TraceError(
        f"{path}: no column holds times (the columns are {known}); name one TIMESTAMP, and write {_RIGHT}"
    )


_RIGHT = "seconds or for example 2023-11-16T18:17:03.98Z"


def _times(path: Path, name: str, place: int, rows: Iterable[_Row]) -> list[float]:
    """Return each line's time; all have the form of the first one."""
    times: list[float] = []
    read_time: Callable[[str], float] | None = None
    for line, cells in rows:
        read_time = read_time or _kind(cells[place]) or _seconds
        try:
            times.append(read_time(cells[place]))
        except (ValueError, OverflowError) as error:
            message = f"{path}:{line}: {name}: {cells[place]!r} is not a time; write {_RIGHT}"
            raise TraceError(message) from error
    return times


def _kind(text: str) -> Callable[[str], float] | None:
    """Return the function that parses such a time. Returns None if the text is not a time."""
    for reads in (_seconds, _stamp):
        try:
            reads(text)
        except (ValueError, OverflowError):
            continue
        return reads
    return None


def _seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _stamp(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
