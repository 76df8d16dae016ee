"""Something to do every so often, on time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gyrus.aio.clock import Clock


async def ticks(clock: Clock, every: float) -> AsyncIterator[None]:
    """One at once, the others ``every`` seconds apart, counted from the first: what is done at a tick delays
    none of the later ones. Those that are over before they could be told are left out."""
    first = clock.monotonic()
    while True:
        yield
        passed = int((clock.monotonic() - first) / every)
        await clock.sleep(first + (passed + 1) * every - clock.monotonic())
