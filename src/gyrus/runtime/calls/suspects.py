"""Calls whose request died with another process of the API: one at a time, and none that killed two.

A process may die with many requests in progress, of which one is at fault. So a suspect is started again, but
never beside another suspect: after a second death, only the request at fault has been there twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from gyrus.runtime.calls.call import Call
from gyrus.runtime.started import Sighting, StartedRequests

MOST_DEATHS = 2
"""Processes that may die with a request before it is refused."""
LOOK_EVERY = 0.005
"""Seconds between two looks at a process that may be about to die."""
PATIENCE = 1.0
"""Seconds to wait for its death. A process that lives on is not counted."""


class SuspectsOwner(Protocol):
    """The part that answers calls."""

    def admit_suspect(self, call: Call) -> None:
        """Admit a call that may start now."""
        ...

    def refuse_poison(self, call: Call) -> None:
        """Refuse a call whose request has taken down as many processes as it may."""
        ...


class CallRecord:
    """The observer of the queue that records the calls which the gateway may send again."""

    def __init__(self, requests: StartedRequests) -> None:
        self._requests = requests

    def started(self, item: Call) -> None:
        if item.key is not None:
            item.row = self._requests.begin(item.key)

    def ended(self, item: Call) -> None:
        if item.row is not None:
            self._requests.end(item.row)
            item.row = None


class Suspects:
    """The suspects among the calls of one process. Owned by the event loop."""

    def __init__(self, requests: StartedRequests, owner: SuspectsOwner) -> None:
        self._requests = requests
        self._owner = owner
        self._present: Call | None = None
        """The suspect that has been admitted and has not left."""
        self._waiting: deque[Call] = deque()

    def is_clear(self, call: Call) -> bool:
        """Return True if the call is no suspect. Any other one is admitted or refused later."""
        if call.key is None or not (seen := self._requests.sightings(call.key)):
            return True
        self._judge(call, seen, monotonic() + PATIENCE)
        return False

    def over(self, call: Call) -> None:
        """Handle a call that has left the process or its queue, and admit the next suspect."""
        if call is self._present:
            self._present = None
            self._admit_next()
        elif call in self._waiting:
            self._waiting.remove(call)

    def release_all(self, to: Callable[[Call], None]) -> None:
        """Hand over all suspects that wait, because the process ends."""
        while self._waiting:
            to(self._waiting.popleft())

    def _judge(self, call: Call, seen: list[Sighting], until: float) -> None:
        dead = seen.count(Sighting.DEAD)
        if dead >= MOST_DEATHS:
            self._owner.refuse_poison(call)
        elif len(seen) >= MOST_DEATHS and monotonic() < until:
            asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_again, call, until)
        else:
            self._waiting.append(call)
            self._admit_next()

    def _look_again(self, call: Call, until: float) -> None:
        if call.key is not None and not call.cancelled:
            self._judge(call, self._requests.sightings(call.key), until)

    def _admit_next(self) -> None:
        while self._present is None and self._waiting:
            self._present = call = self._waiting.popleft()
            self._owner.admit_suspect(call)
