"""Amounts of money: whole billionths of a US dollar."""

from __future__ import annotations

BILLION = 10**9
HOUR = 3_600_000
"""Milliseconds."""


def nano(usd: float) -> int:
    """Return billionths of a dollar.

    >>> nano(0.1)
    100000000
    """
    return round(usd * BILLION)


def dollars(amount: int) -> float:
    return amount / BILLION


def price_for(per_hour: int, milliseconds: int) -> int:
    """Return the price of a span of time, rounded down.

    >>> price_for(3600, 1500)
    1
    """
    return per_hour * milliseconds // HOUR
