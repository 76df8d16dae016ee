"""Periodic work without drift."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gyrus.aio.clock import Clock


async def ticks(clock: Clock, every: float) -> AsyncIterator[None]:
    """Yield at once, then ``every`` seconds apart.

    Ticks are counted from the first, so that slow work at one tick does not delay the later ones. Ticks that
    pass while the work runs are skipped.
    """
    first = clock.monotonic()
    while True:
        yield
        passed = int((clock.monotonic() - first) / every)
        await clock.sleep(first + (passed + 1) * every - clock.monotonic())
