"""Service times of requests: the same for all, drawn from a distribution, or taken from the trace.

The start-up time of a replica uses the same notation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from gyrus.simulator.durations import seconds_of
from gyrus.simulator.trace import Trace

TOKENS = "GeneratedTokens"
SECONDS_PER_TOKEN = 0.020
"""Seconds for one generated token, for a trace that has tokens and no times."""
TIME_COLUMNS = ("service_time", "duration")

_CALL = re.compile(r"(\w+)\s*\(([^()]*)\)")


class ServiceTimes(Protocol):
    """A source of each request's service time."""

    def times(self, trace: Trace, seed: int) -> list[float]:
        """Return the seconds of each request. Equal seeds give equal times.

        Raises ValueError if the trace lacks them.
        """
        ...


class Spread(ServiceTimes, Protocol):
    """A time that does not depend on a trace."""

    @property
    def typical(self) -> float:
        """Seconds to expect: the median."""
        ...

    def draw(self, random: Random) -> float: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """``120ms``: always the same."""

    seconds: float

    @property
    def typical(self) -> float:
        return self.seconds

    def draw(self, random: Random) -> float:
        return self.seconds

    def times(self, trace: Trace, seed: int) -> list[float]:
        return [self.seconds] * len(trace)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """``lognormal(120ms, 0.5)``: half are below the median; sigma is the deviation of the logarithm."""

    median: float
    sigma: float

    @property
    def typical(self) -> float:
        return self.median

    def draw(self, random: Random) -> float:
        return self.median * math.exp(self.sigma * random.gauss(0.0, 1.0))

    def times(self, trace: Trace, seed: int) -> list[float]:
        return _drawn(self.draw, trace, seed)


@dataclass(frozen=True, slots=True)
class Exponential:
    """``exponential(120ms)``: an exponential distribution with this mean."""

    mean: float

    @property
    def typical(self) -> float:
        return self.mean * math.log(2)

    def draw(self, random: Random) -> float:
        return random.expovariate(1 / self.mean) if self.mean else 0.0

    def times(self, trace: Trace, seed: int) -> list[float]:
        return _drawn(self.draw, trace, seed)


@dataclass(frozen=True, slots=True)
class Column:
    """``column``, ``column:NAME`` or ``column:NAME*20ms``: the times in a column of the trace."""

    name: str | None = None
    """The column; None means a column of times, or else of generated tokens."""
    unit: float | None = None
    """Seconds per unit of the column; None if the column holds times."""

    def times(self, trace: Trace, seed: int) -> list[float]:
        name, unit = self._found(trace)
        return [_time(trace, name, cell, unit) for cell in trace.columns[name]]

    def _found(self, trace: Trace) -> tuple[str, float | None]:
        by_lower = {name.lower(): name for name in trace.columns}
        if self.name is not None:
            if self.name.lower() not in by_lower:
                names = ", ".join(trace.columns) or "none besides the time"
                raise ValueError(f"{trace.name} has no column {self.name}; it has {names}")
            return by_lower[self.name.lower()], self.unit
        for name in TIME_COLUMNS:
            if name in by_lower:
                return by_lower[name], None
        if TOKENS.lower() in by_lower:
            return by_lower[TOKENS.lower()], SECONDS_PER_TOKEN
        wanted = ", ".join((*TIME_COLUMNS, TOKENS))
        raise ValueError(f"{trace.name} has none of the columns {wanted}; name another: column:NAME*20ms")


def parse_service(text: str) -> ServiceTimes:
    """Parse a service time.

    It is ``120ms``, ``lognormal(MEDIAN, SIGMA)``, ``exponential(MEAN)``, ``column`` or ``column:NAME*20ms``.
    Raises ValueError, whose text continues a sentence that begins with the value.
    """
    kind, _, rest = text.strip().partition(":")
    if kind != "column":
        return parse_spread(text)
    name, star, unit = rest.rpartition("*") if "*" in rest else (rest, "", "")
    if not star:
        return Column(name.strip() or None)
    seconds = seconds_of(unit.strip())
    if seconds is None or not name.strip():
        raise ValueError("has no unit for the column; write for example column:Tokens*20ms")
    return Column(name.strip(), seconds)


def parse_spread(text: str) -> Spread:
    """Parse a time as :func:`parse_service` does, without ``column``. Raises ValueError likewise."""
    seconds = seconds_of(text.strip())
    if seconds is not None:
        return Fixed(seconds)
    call = _CALL.fullmatch(text.strip())
    if not call:
        raise ValueError(
            "is not a time; write for example 120ms, lognormal(120ms, 0.5) or exponential(120ms)"
        )
    return _distribution(call[1], [part.strip() for part in call[2].split(",")])


def _distribution(name: str, given: Sequence[str]) -> Spread:
    first = seconds_of(given[0])
    if name == "exponential" and len(given) == 1 and first is not None:
        return Exponential(first)
    if name == "lognormal" and len(given) == 2 and first is not None:
        sigma = _number(given[1])
        if sigma is not None:
            return Lognormal(first, sigma)
    raise ValueError(
        "is not a distribution; write for example lognormal(120ms, 0.5), a median and the deviation of the "
        "logarithm, or exponential(120ms), a mean"
    )


def _drawn(draw: Callable[[Random], float], trace: Trace, seed: int) -> list[float]:
    random = Random(f"service {seed}")
    return [draw(random) for _ in range(len(trace))]


def _time(trace: Trace, name: str, cell: str, unit: float | None) -> float:
    """Return a cell's time in seconds; ``unit`` is that of :class:`Column`."""
    number = _number(cell)
    if number is not None:
        return number * (1.0 if unit is None else unit)
    seconds = seconds_of(cell) if unit is None else None
    if seconds is None:
        what = "a number" if unit else "a number of seconds or a duration such as 120ms"
        raise ValueError(f"column {name} of {trace.name} holds {cell!r}, which is not {what}")
    return seconds


def _number(text: str) -> float | None:
    """Parse a number. Returns None if the text is not a number from 0 up."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
