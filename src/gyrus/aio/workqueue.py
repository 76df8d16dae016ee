"""Pending work by key: each key is at most once in the queue, and one worker at a time works on it.

A key names the object to reconcile, not the action: ten adds before a worker takes the key are one piece of
work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.tasks import OnError, first_of, log_error

Handle = Callable[[str], Awaitable[float | None]]
"""Callback that works on one key.

Returns the seconds after which to work on the key again, or None. An error is reported to ``on_error``, and
the key is retried after its back-off.
"""


SLACK = 1e-6
"""Seconds by which a delay may end early, because a sum of two times is rounded."""


RETRY = Backoff(0.2, 30)


class WorkQueue:
    """Keys to work on, now or later.

    - A key that is added while a worker works on it is worked on again afterwards.
    - The earliest of several delays of one key counts. An :meth:`add` neither cancels a delay nor waits
      for one, not even for a back-off.
    - Cancelling :meth:`run` loses nothing: a key whose work was cancelled comes first in the next run.

    Not thread-safe: one event loop owns it.
    """

    def __init__(self, clock: Clock, *, backoff: Backoff = RETRY) -> None:
        self._clock = clock
        self._backoff = backoff
        self._due: dict[str, None] = {}  # insertion order is the order of work
        self._delayed: dict[str, float] = {}  # times, by the monotonic clock
        self._working: set[str] = set()
        self._again: set[str] = set()  # added while a worker works on them
        self._failures: dict[str, int] = {}
        self._idle: list[asyncio.Future[None]] = []  # one per waiting worker
        self._delays_changed = asyncio.Event()

    def add(self, key: str) -> None:
        """Work on this key as soon as a worker is free."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._due:
            self._due[key] = None
            self._wake_one()

    def add_after(self, key: str, seconds: float) -> None:
        """Work on this key after this many seconds."""
        when = self._clock.monotonic() + seconds
        if when < self._delayed.get(key, float("inf")):
            self._delayed[key] = when
            self._delays_changed.set()

    def failures(self, key: str) -> int:
        """Return how many times in a row the work on this key has failed."""
        return self._failures.get(key, 0)

    async def run(
        self, workers: int, handle: Handle, *, name: str = "queue", on_error: OnError = log_error
    ) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_time(), name=f"{name}-time")
            for number in range(workers):
                group.create_task(self._work(handle, name, on_error), name=f"{name}-{number}")

    async def _work(self, handle: Handle, name: str, on_error: OnError) -> None:
        while True:
            key = await self._take()
            try:
                again = await handle(key)
            except Exception as error:
                delay = self._backoff.delay(self.failures(key))
                self._failures[key] = self.failures(key) + 1
                self.add_after(key, delay)
                self._release(key)
                on_error(f"{name}: {key}", error, delay)
            except BaseException:
                self._put_back(key)
                raise
            else:
                self._failures.pop(key, None)
                if again is not None:
                    self.add_after(key, again)
                self._release(key)

    async def _take(self) -> str:
        while not self._due:
            waiting = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting in self._idle:
                    self._idle.remove(waiting)
                else:  # woken and cancelled in the same turn: wake another worker instead
                    self._wake_one()
                raise
        key = next(iter(self._due))
        del self._due[key]
        self._working.add(key)
        return key

    def _release(self, key: str) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _put_back(self, key: str) -> None:
        """Put a key whose work was cancelled before all others."""
        self._working.discard(key)
        self._again.discard(key)
        self._due = {key: None} | self._due
        self._wake_one()

    def _wake_one(self) -> None:
        while self._idle and self._due:
            waiting = self._idle.pop(0)
            if not waiting.done():
                waiting.set_result(None)
                return

    async def _keep_time(self) -> None:
        while True:
            self._delays_changed.clear()
            self._add_what_is_due()
            if self._delayed:
                pause = min(self._delayed.values()) - self._clock.monotonic()
                await first_of(self._delays_changed.wait(), self._clock.sleep(pause))
            else:
                await self._delays_changed.wait()

    def _add_what_is_due(self) -> None:
        now = self._clock.monotonic()
        for key, when in sorted(self._delayed.items(), key=lambda item: item[1]):
            if when <= now + SLACK:
                del self._delayed[key]
                self.add(key)
