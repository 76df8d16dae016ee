"""Who may go on to the server, and who waits: the runtime's line, for those who wait in tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gyrus.queueing.line import Line

Turn = asyncio.Future[None]


class Full(Exception):
    """As many wait as may."""


class GivenBack(Exception):
    """It was not started, and may try its luck with another replica."""


class Gate:
    def __init__(self, slots: int | None, places: int) -> None:
        """``slots`` None: all may pass. ``places``: how many may wait."""
        self._line: Line[Turn] = Line(slots, places)
        self._draining = False

    @property
    def running(self) -> int:
        return self._line.busy

    @property
    def waiting(self) -> int:
        return self._line.waiting

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Raises Full, GivenBack."""
        turn: Turn = asyncio.get_running_loop().create_future()
        await self._enter(turn)
        try:
            yield
        finally:
            self._finish(turn)

    def drain(self) -> None:
        """From now on nobody waits: whoever does, or comes while no slot is free, is given back."""
        self._draining = True
        self.give_back()

    def give_back(self, at_most: int | None = None) -> int:
        """Send the youngest away, or all; tells how many."""
        given_back = self._line.give_back(at_most)
        for turn in given_back:
            if not turn.done():
                turn.set_exception(GivenBack())
        return len(given_back)

    async def _enter(self, turn: Turn) -> None:
        if self._line.start_at_once(turn):
            return
        if self._draining:
            raise GivenBack
        if not self._line.wait(turn):
            raise Full
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
