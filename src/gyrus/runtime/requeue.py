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


def load_of(queue: SlotQueue[Any], now: float, busy: int) -> QueueLoad:
    """Report the load of a queue.

    ``now``: the time on the clock of the queue's arrivals. ``busy``: slots that no other request can have.
    """
    return QueueLoad(
        slots=queue.slots,
        busy=busy,
        waiting=queue.waiting,
        movable=queue.movable,
        places=queue.places,
        waited=tuple(round(now - arrived, 4) for arrived in queue.oldest(LONGEST_REPORTED)),
        begun=queue.begun,
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
        """Parse the body of a request to requeue. Raises RequestRefused."""
        try:
            document = json.loads(body)
            if isinstance(document, dict):
                asked = cast("dict[str, Any]", document)
                numbers = (asked["at_most"], asked.get("first", 0), asked.get("spare", 0))
                if all(type(number) is int and number >= 0 for number in numbers):
                    return cls(*numbers)
        except (ValueError, KeyError):
            pass
        raise RequestRefused(BAD_REQUEST, 'The body must be {"at_most": n}, with n of 0 or more.')

    def carry_out(self, requeue: RequeueTarget) -> int:
        """Order the requeueing, and return the number of requests that will be requeued."""
        return requeue(self.at_most, first=self.first, spare=self.spare)


class PacedRequeue(Generic[T]):
    """Requeue waiting requests one at a time, every ``REQUEUE_EVERY`` seconds."""

    def __init__(self, queue: SlotQueue[T], send_away: Callable[[T], None]) -> None:
        """Call ``send_away`` with each request that has just left the queue ``queue``."""
        self._queue = queue
        self._send_away = send_away
        self._leaving: deque[T] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def order(self, at_most: int | None, *, first: int = 0, spare: int = 0) -> int:
        """Requeue ``at_most`` waiting requests (None: all that may be), and return the number of them.

        After the ``first`` oldest, the next ``spare`` stay. Requests that start or leave in the meantime are
        skipped. The order replaces the rest of an earlier one, because its sender has seen the present queue.
        """
        self._leaving = deque(self._queue.to_requeue(at_most, first=first, spare=spare))
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
            if self._queue.leave(item):
                self._send_away(item)
                return
