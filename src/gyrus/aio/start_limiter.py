"""A semaphore that serves callers in the order of arrival, and reports their positions to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Permit:
    """The right to proceed. It ends on release, or by itself after the longest time."""

    def __init__(self, semaphore: FairSemaphore, longest: float) -> None:
        self._semaphore: FairSemaphore | None = semaphore
        self._end = asyncio.get_running_loop().call_later(longest, self.release)

    def release(self) -> None:
        """Return the permit to the semaphore. Idempotent."""
        semaphore, self._semaphore = self._semaphore, None
        self._end.cancel()
        if semaphore:
            semaphore.returned()


class FairSemaphore:
    """A semaphore whose permits are granted in the order of arrival."""

    def __init__(self, at_once: int, longest: float) -> None:
        """Allow ``at_once`` permits; each ends by itself after ``longest`` seconds."""
        self._free = at_once
        self._longest = longest
        self._waiting: dict[asyncio.Future[None], Callable[[int], None]] = {}

    async def take(self, report: Callable[[int], None]) -> Permit:
        """Wait for a permit. Calls ``report`` with the number of callers ahead whenever it changes."""
        if self._free and not self._waiting:
            return self._give()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place] = report
        try:
            report(len(self._waiting) - 1)
            await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.returned()  # the permit was granted while this caller was being cancelled
            raise
        finally:
            if self._waiting.pop(place, None):
                self._report_positions()
        self._free += 1  # undoes the reservation of _call; _give takes the permit
        return self._give()

    def returned(self) -> None:
        self._free += 1
        self._call()

    def _give(self) -> Permit:
        self._free -= 1
        return Permit(self, self._longest)

    def _call(self) -> None:
        """Reserve free permits for the callers that have waited longest."""
        called = False
        while self._free and (place := next(iter(self._waiting), None)):
            del self._waiting[place]
            if not place.done():
                self._free -= 1
                place.set_result(None)
            called = True
        if called:
            self._report_positions()

    def _report_positions(self) -> None:
        for before, report in enumerate(tuple(self._waiting.values())):
            report(before)
