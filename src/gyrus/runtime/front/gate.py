"""Who may go on to the server, and who waits: the runtime's line, for those who wait in tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

from gyrus.contract.replica import Load
from gyrus.queueing.line import Line
from gyrus.runtime.departures import Departures
from gyrus.runtime.load import load_of
from gyrus.runtime.telemetry.bell import Bell

Turn = asyncio.Future[None]


class Full(Exception):
    """As many wait as may."""


class GivenBack(Exception):
    """It was not started, and may try its luck with another replica."""


class Gate:
    def __init__(self, slots: int | None, places: int, bell: Bell) -> None:
        """``slots`` None: all may pass. ``places``: how many may wait. ``bell``: is rung when one has to."""
        self._line: Line[Turn] = Line(slots, places)
        self._bell = bell
        self._departures = Departures(self._line, _send_away)
        self._draining = False

    @property
    def running(self) -> int:
        return self._line.busy

    @property
    def waiting(self) -> int:
        return self._line.waiting

    @property
    def load(self) -> Load:
        return load_of(self._line, monotonic(), self._line.busy)

    @asynccontextmanager
    async def slot(self, arrived: float, *, movable: bool = True) -> AsyncGenerator[None]:
        """``arrived``: at the gateway, in monotonic seconds. Raises Full, GivenBack."""
        turn: Turn = asyncio.get_running_loop().create_future()
        await self._enter(turn, arrived, movable=movable)
        try:
            yield
        finally:
            self._finish(turn)

    def drain(self) -> None:
        """From now on nobody waits: whoever does, or comes while no slot is free, is given back."""
        self._draining = True
        self.give_back()

    def give_back(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> int:
        """Send some who wait away, one a millisecond, or all; tells how many."""
        if self._draining:
            return self._departures.order(None)
        return self._departures.order(at_most, first=first, spare=spare)

    async def _enter(self, turn: Turn, arrived: float, *, movable: bool) -> None:
        if self._line.start_at_once(turn):
            return
        if self._draining and movable:
            raise GivenBack
        if not self._line.wait(turn, arrived, movable=movable):
            raise Full
        self._ring_if_needed()
        try:
            await turn
        except asyncio.CancelledError:
            if not self._line.leave(turn) and turn in self._line.started:  # its turn came in that moment
                self._finish(turn)
            raise

    def _finish(self, turn: Turn) -> None:
        self._line.finish(turn)
        for following in self._line.start_next():
            if not following.done():  # else it is being cancelled, and will finish by itself
                following.set_result(None)
        self._ring_if_needed()

    def _has_to_wait(self) -> bool:
        return self._line.movable > 0

    def _ring_if_needed(self) -> None:
        if self._has_to_wait():
            self._bell.ring(self._has_to_wait)


def _send_away(turn: Turn) -> None:
    if not turn.done():
        turn.set_exception(GivenBack())
