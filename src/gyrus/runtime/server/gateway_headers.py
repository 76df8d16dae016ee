"""The gateway's headers about a request: when it arrived there, and which try it is."""

from __future__ import annotations

from time import time

from gyrus.contract import replica

ARRIVED = replica.ARRIVED_HEADER.encode()
RETRIED = replica.RETRIED_HEADER.encode()
LAST_TRY = replica.LAST_TRY.encode()
OLDEST = 7 * 24 * 3600.0
"""Seconds. A request that claims to be older is not believed."""


def arrival(header: bytes | None, came: float) -> float:
    """Return the time of arrival at the gateway, in monotonic seconds.

    ``header``: the header's value. ``came``: the time of arrival here, just now. Returns ``came`` if the
    value cannot be parsed, lies in the future or is too old to be true.
    """
    if header is None:
        return came
    try:
        age = time() - float(header)
    except ValueError:
        return came
    return came - age if 0.0 < age < OLDEST else came
