"""A long loop that leaves the event loop to others every few milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from gyrus.aio.clock import Clock, SystemClock

T = TypeVar("T")

SLICE = 0.004
"""Seconds for which a loop may hold the event loop."""


async def slices(
    items: Iterable[T], *, clock: Clock | None = None, longest: float = SLICE
) -> AsyncIterator[T]:
    """Yield the items, and let everything else that is ready run whenever ``longest`` seconds have passed.

    A slice ends between two items, so the work on one item may exceed it. The items must not change
    meanwhile: pass a copy if another task may change them.
    """
    clock = clock or SystemClock()
    began = clock.monotonic()
    for item in items:
        if clock.monotonic() - began >= longest:
            await clock.sleep(0)
            began = clock.monotonic()
        yield item
