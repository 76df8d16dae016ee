"""When a request arrived at the gateway, maybe long before it came here: it may have waited elsewhere."""

from __future__ import annotations

from time import time

from gyrus.contract.replica import ARRIVED_HEADER

ARRIVED = ARRIVED_HEADER.encode()
OLDEST = 7 * 24 * 3600.0
"""Seconds. What claims to be older is not believed."""


def arrival(told: bytes | None, came: float) -> float:
    """In monotonic seconds. ``told`` is the header's value, ``came`` when the request came here, just now.

    What cannot be read, lies in the future or is too old to be true is left aside: it arrived when it came.
    """
    if told is None:
        return came
    try:
        age = time() - float(told)
    except ValueError:
        return came
    return came - age if 0.0 < age < OLDEST else came
