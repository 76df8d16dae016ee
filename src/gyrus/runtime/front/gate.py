"""Who may go on to the server, and who waits: the runtime's line, for those who wait in tasks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from gyrus.contract.replica import Load
from gyrus.queueing.line import Line

Turn = asyncio.Future[None]
STAGGER = 0.001
"""Seconds between two that are sent away: the gateway counts the first before it chooses for the next."""


class Full(Exception):
    """As many wait as may."""


class GivenBack(Exception):
    """It was not started, and may try its luck with another replica."""


class Gate:
    def __init__(self, slots: int | None, places: int, ring: Callable[[], None] = lambda: None) -> None:
        """``slots`` None: all may pass. ``places``: how many may wait. ``ring``: called when one has to."""
        self._line: Line[Turn] = Line(slots, places)
        self._ring = ring
        self._leaving: deque[Turn] = deque()
        self._next_leaves: asyncio.TimerHandle | None = None
        self._draining = False

    @property
    def running(self) -> int:
        return self._line.busy

    @property
    def waiting(self) -> int:
        return self._line.waiting

    @property
    def load(self) -> Load:
        line = self._line
        return Load(slots=line.slots, busy=line.busy, waiting=line.waiting, movable=line.movable)

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

    def give_back(self, at_most: int | None = None) -> int:
        """Send some who wait away, one a millisecond, or all; tells how many. A later call begins anew."""
        self._leaving = deque(self._line.to_give_back(at_most))
        number = len(self._leaving)
        if self._next_leaves is None:
            self._let_next_leave()
        return number

    def _let_next_leave(self) -> None:
        self._next_leaves = None
        while self._leaving:
            turn = self._leaving.popleft()
            if self._line.leave(turn):
                if not turn.done():
                    turn.set_exception(GivenBack())
                break
        if self._leaving:
            loop = asyncio.get_running_loop()
            self._next_leaves = loop.call_later(STAGGER, self._let_next_leave)

    async def _enter(self, turn: Turn, arrived: float, *, movable: bool) -> None:
        if self._line.start_at_once(turn):
            return
        if self._draining and movable:
            raise GivenBack
        if not self._line.wait(turn, arrived, movable=movable):
            raise Full
        if self._line.free == 0:
            self._ring()
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
        if self._line.waiting and self._line.free == 0:
            self._ring()
