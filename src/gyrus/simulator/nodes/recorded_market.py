"""A spot market from a file: prices, shortages and interruptions at given times.

SpotFileError    the file is no list of spot events; the message names the file and the line
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

from gyrus.simulator.durations import seconds_of
from gyrus.simulator.nodes.spot_market import InstanceFate, MarketRules, SpotShortage

COLUMNS = ("at", "event", "group", "value")
EXAMPLE = "at,event,group,value"


class SpotFileError(Exception):
    """An invalid file. The message ``spot.csv:3: …`` has the file, the line, the fault and the remedy."""


class SpotEventKind(StrEnum):
    PRICE = "price"
    """From then on, spot instances cost this share of the on-demand price."""
    SHORTAGE = "shortage"
    """For so long, no spot instance comes, and Auto Scaling reports failures."""
    SILENT_SHORTAGE = "silent-shortage"
    """The same without a report."""
    INTERRUPTION = "interruption"
    """EC2 interrupts this share of the running spot instances."""


@dataclass(frozen=True, slots=True)
class SpotEvent:
    at: float
    """Seconds from the first request."""
    kind: SpotEventKind
    group: str
    """The node group; empty for all."""
    value: float
    """A share, or seconds."""


class RecordedMarket:
    """The spot market of one node group, by the events of a file.

    Equal seeds interrupt the same instances.
    """

    def __init__(self, name: str, events: Sequence[SpotEvent], seed: int, begins: float = 0.0) -> None:
        """Start with the mean price of a seeded market. ``begins``: the time of the first request."""
        self._name = f"{seed} {name}"
        mine = sorted((one for one in events if one.group in ("", name)), key=lambda one: one.at)
        self._interruptions = [
            (begins + one.at, one.value) for one in mine if one.kind is SpotEventKind.INTERRUPTION
        ]
        self._shortages = [
            SpotShortage(begins + one.at, begins + one.at + one.value, silent)
            for one in mine
            if (silent := one.kind is SpotEventKind.SILENT_SHORTAGE) or one.kind is SpotEventKind.SHORTAGE
        ]
        prices = [(begins + one.at, one.value) for one in mine if one.kind is SpotEventKind.PRICE]
        self._prices = [(-math.inf, MarketRules().price), *prices]

    def shortage(self, now: float) -> SpotShortage | None:
        return next((one for one in self._shortages if one.start <= now < one.end), None)

    def price_share(self, now: float) -> float:
        return self._prices[bisect_right(self._prices, (now, math.inf)) - 1][1]

    def fate(self, number: int, launched_at: float) -> InstanceFate:
        random = Random(f"instance {self._name} {number}")
        for at, share in self._interruptions:
            hit = random.random() < share
            if hit and at > launched_at:
                return InstanceFate(at, math.inf)
        return InstanceFate(math.inf, math.inf)


def read_spot_events(file: Path, groups: Sequence[str]) -> list[SpotEvent]:
    """Read a CSV file of spot events. ``groups``: the cluster's node groups. Raises SpotFileError."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SpotFileError(f"{file}: cannot be read: {reason}.") from error
    lines = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
    if missing:
        raise SpotFileError(f"{file}:1: has no column {missing[0]}; begin the file with {EXAMPLE}")
    return [_event(f"{file}:{lines.line_num}", row, groups) for row in lines]


def _event(place: str, row: Mapping[str, str | None], groups: Sequence[str]) -> SpotEvent:
    at, kind, group, value = ((row[name] or "").strip() for name in COLUMNS)
    moment = _seconds(at)
    if moment is None:
        raise SpotFileError(f"{place}: at is {at!r}, which is no time; write for example 10m or 600")
    if kind not in SpotEventKind.__members__.values():
        known = ", ".join(SpotEventKind)
        raise SpotFileError(f"{place}: event is {kind!r}; the events are {known}")
    if group and group not in groups:
        raise SpotFileError(f"{place}: there is no node group {group}; the groups are {', '.join(groups)}")
    is_span = kind in (SpotEventKind.SHORTAGE, SpotEventKind.SILENT_SHORTAGE)
    number = _seconds(value) if is_span else _share(value)
    if number is None:
        what = "no duration; write for example 15m" if is_span else "no share; write for example 30%"
        raise SpotFileError(f"{place}: value is {value!r}, which is {what}")
    return SpotEvent(moment, SpotEventKind(kind), group, number)


def _seconds(text: str) -> float | None:
    return seconds_of(text) if not text.replace(".", "", 1).isdecimal() else float(text)


def _share(text: str) -> float | None:
    """Parse a share from 0 to 1, such as 30 % or 0.3. Returns None if the text is none."""
    number, percent, rest = text.partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        return None
    return value if not rest and 0 <= value <= 1 else None
