"""A seeded spot market: prices, times without capacity, and interruptions.

Its numbers are assumptions, chosen on the unfavourable side: AWS's Spot Instance Advisor shows
interruptions of less than 5 % to more than 20 % of instances a month, this market interrupts about every
tenth in an hour.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from random import Random
from typing import Protocol, Self

SECONDS_PER_PRICE = 600.0
"""Seconds for which a price stands."""


NO_RATE = 1e-9
"""A rate of interruptions an hour that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """Means in seconds, shares from 0 to 1."""

    lifetime: float = 36_000.0
    """Mean time until an instance is interrupted without a shortage."""
    available: float = 10_800.0
    """Mean time between two shortages of a pool."""
    shortage: float = 1_200.0
    """Mean length of a shortage, in which a pool gets no new instances."""
    interrupted: float = 0.3
    """Share of a pool's instances that a shortage interrupts at its start."""
    silent: float = 0.5
    """Share of the shortages in which no scaling activity fails, and no instance comes either."""
    advised: float = 0.5
    """Share of the interruptions before which EC2 recommends to replace the instance."""
    advice: float = 600.0
    """Seconds from that recommendation to the warning."""
    price: float = 0.35
    """Mean spot price as a share of the on-demand price."""
    spread: float = 0.2
    """Deviation of the price's logarithm."""

    @classmethod
    def at_rate(cls, rate: float) -> Self:
        """Return rules by which EC2 interrupts about this share of the instances in each hour.

        Half of the interruptions come with shortages, the other half one by one. 0: there are neither.

        >>> MarketRules.at_rate(0.2) == MarketRules()
        True
        """
        usual = cls()
        half = max(rate, NO_RATE) / 2
        return cls(lifetime=3600 / half, available=3600 * usual.interrupted / half)


@dataclass(frozen=True, slots=True)
class SpotShortage:
    start: float
    end: float
    silent: bool


@dataclass(frozen=True, slots=True)
class InstanceFate:
    """When an instance is interrupted; infinity for never."""

    warned_at: float
    advised_at: float


class InstanceMarket(Protocol):
    """The spot market of one node group, drawn from a seed or read from a file."""

    def shortage(self, now: float) -> SpotShortage | None:
        """Return the shortage at a time, if there is one."""
        ...

    def price_share(self, now: float) -> float:
        """Return the price as a share of the on-demand price."""
        ...

    def fate(self, number: int, launched_at: float) -> InstanceFate:
        """Return when the pool's instance of this number is interrupted."""
        ...


class SpotMarket:
    """The spot market of one node group. Equal seeds give equal markets."""

    def __init__(self, name: str, length: float, rules: MarketRules, seed: int) -> None:
        self._rules = rules
        self._name = f"{seed} {name}"
        random = Random(f"market {self._name}")
        self.shortages = _shortages(random, length, rules)
        self._starts = [one.start for one in self.shortages]
        self._prices = _prices(random, length, rules)

    def shortage(self, now: float) -> SpotShortage | None:
        """Return the shortage at a time, if there is one."""
        index = bisect_right(self._starts, now) - 1
        found = self.shortages[index] if index >= 0 else None
        return found if found and now < found.end else None

    def price_share(self, now: float) -> float:
        """Return the price as a share of the on-demand price."""
        return self._prices[min(int(now / SECONDS_PER_PRICE), len(self._prices) - 1)]

    def fate(self, number: int, launched_at: float) -> InstanceFate:
        """Draw when the pool's instance of this number is interrupted."""
        random = Random(f"instance {self._name} {number}")
        warned = launched_at + random.expovariate(1 / self._rules.lifetime)
        for one in self.shortages:
            if one.start > launched_at and random.random() < self._rules.interrupted:
                warned = min(warned, one.start)
                break
        advised = random.random() < self._rules.advised
        return InstanceFate(warned, warned - self._rules.advice if advised else math.inf)


def _shortages(random: Random, length: float, rules: MarketRules) -> list[SpotShortage]:
    found: list[SpotShortage] = []
    now = random.expovariate(1 / rules.available)
    while now < length:
        end = now + random.expovariate(1 / rules.shortage)
        found.append(SpotShortage(now, end, random.random() < rules.silent))
        now = end + random.expovariate(1 / rules.available)
    return found


def _prices(random: Random, length: float, rules: MarketRules) -> list[float]:
    """Draw prices that wander around their mean: an autoregressive process of the logarithm."""
    level, prices = 0.0, list[float]()
    for _ in range(int(length / SECONDS_PER_PRICE) + 1):
        level = 0.9 * level + random.gauss(0.0, rules.spread * math.sqrt(1 - 0.9**2))
        prices.append(min(0.95, rules.price * math.exp(level)))
    return prices
