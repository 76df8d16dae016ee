"""Requeue: a replica's report of its queue, the orders to return requests, and the pace of returning them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from gyrus.contract.problem import BAD_REQUEST
from gyrus.contract.replica import QueueLoad
from gyrus.queueing.slots import SlotQueue
from gyrus.queueing.timing import LONGEST_REPORTED, REQUEUE_EVERY
from gyrus.runtime.server.problems import RequestRefused

T = TypeVar("T", bound=Hashable)


def load_of(line: SlotQueue[Any], now: float, busy: int) -> QueueLoad:
    """``now``: on the clock of the line's arrivals. ``busy``: slots that nobody else can have."""
    return QueueLoad(
        slots=line.slots,
        busy=busy,
        waiting=line.waiting,
        movable=line.movable,
        places=line.places,
        waited=tuple(round(now - arrived, 4) for arrived in line.oldest(LONGEST_REPORTED)),
    )


class RequeueTarget(Protocol):
    def __call__(self, at_most: int | None, *, first: int, spare: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Requeue:
    at_most: int
    first: int = 0
    spare: int = 0

    @classmethod
    def read(cls, body: bytes) -> Requeue:
        """Raises Refused."""
        try:
            told = json.loads(body)
            if isinstance(told, dict):
                asked = cast("dict[str, Any]", told)
                numbers = (asked["at_most"], asked.get("first", 0), asked.get("spare", 0))
                if all(type(number) is int and number >= 0 for number in numbers):
                    return cls(*numbers)
        except (ValueError, KeyError):
            pass
        raise RequestRefused(BAD_REQUEST, 'The body must be {"at_most": n}, with n of 0 or more.')

    def carry_out(self, requeue: RequeueTarget) -> int:
        """How many will go."""
        return requeue(self.at_most, first=self.first, spare=self.spare)


class PacedRequeue(Generic[T]):
    def __init__(self, line: SlotQueue[T], send_away: Callable[[T], None]) -> None:
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
        self._leaving = deque(self._line.to_requeue(at_most, first=first, spare=spare))
        number = len(self._leaving)
        if self._timer is None:
            self._let_next_go()
        return number

    def _let_next_go(self) -> None:
        self._timer = None
        self._let_one_go()
        if self._leaving:
            self._timer = asyncio.get_running_loop().call_later(REQUEUE_EVERY, self._let_next_go)

    def _let_one_go(self) -> None:
        while self._leaving:
            item = self._leaving.popleft()
            if self._line.leave(item):
                self._send_away(item)
                return
