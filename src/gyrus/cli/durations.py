"""Durations and points in time, as you type them on the command line."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float | None:
    """Parse a duration into seconds. Returns None if the text is not a duration.

    >>> seconds_of("1m30s")
    90.0
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class DurationType(click.ParamType[float]):
    """A duration in seconds; a bare number counts as seconds."""

    name = "span"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        seconds = seconds_of(text) if not _is_number(text) else float(text)
        if seconds is None:
            self.fail(f"{text!r} is not a duration; write for example 90, 90s or 5m", param, ctx)
        return seconds


class TimeType(click.ParamType[float]):
    """A point in time, in seconds since the epoch."""

    name = "since"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        moment = moment_of(value, time.time())
        if moment is None:
            self.fail(f"{value!r} is neither an age (10m, 1h30m) nor a time (2026-01-31T12:00Z)", param, ctx)
        return moment


def moment_of(text: str, now: float) -> float | None:
    """Parse an age or an ISO 8601 time into seconds since the epoch. Returns None if it is neither.

    >>> moment_of("1m30s", 1000.0)
    910.0
    >>> moment_of("1970-01-01T00:00:05Z", 1000.0)
    5.0
    """
    age = seconds_of(text)
    if age is not None:
        return now - age
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None
