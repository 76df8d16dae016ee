"""Requests that wait here and are given back go one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from gyrus.queueing.line import Line
from gyrus.queueing.pace import GIVE_EVERY

T = TypeVar("T", bound=Hashable)


class Departures(Generic[T]):
    def __init__(self, line: Line[T], send_away: Callable[[T], None]) -> None:
        """``send_away``: is told of each that has just left the line."""
        self._line = line
        self._send_away = send_away
        self._leaving: deque[T] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def order(self, at_most: int | None, *, first: int = 0, spare: int = 0) -> int:
        """Tells how many will go; None: all who may. One who is started, or leaves, meanwhile is passed over.
        After the ``first`` of them, ``spare`` stay.

        What is left of an earlier order is forgotten: whoever gives one has seen who waits now.
        """
        self._leaving = deque(self._line.to_give_back(at_most, first=first, spare=spare))
        number = len(self._leaving)
        if self._timer is None:
            self._let_next_go()
        return number

    def _let_next_go(self) -> None:
        self._timer = None
        self._let_one_go()
        if self._leaving:
            self._timer = asyncio.get_running_loop().call_later(GIVE_EVERY, self._let_next_go)

    def _let_one_go(self) -> None:
        while self._leaving:
            item = self._leaving.popleft()
            if self._line.leave(item):
                self._send_away(item)
                return
