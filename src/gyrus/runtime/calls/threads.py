"""Threads for work that would block the event loop, with the least overhead that Python allows.

The default executor needs a Future, a lock and two callbacks for each item. These threads need one put, and
on the way back one wake-up of the loop for all the work that ended in the meantime.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple

log = logging.getLogger("gyrus")

NO_THREAD = (
    "the limit of processes and threads is reached; raise it (ulimit -u, or pids.max of the cgroup), or use "
    "fewer replicas, processes or threads"
)
RETRY = 0.5
"""Seconds until the start of the first thread is retried."""


class Ending(NamedTuple):
    """The end of a piece of work."""

    callback: Callable[..., None]
    """The callback for the loop."""
    arguments: tuple[Any, ...]
    following: Any = None
    """The item with which the thread continues at once, by the same work."""


Work = Callable[[Any], Ending]
"""A piece of work; it must not raise."""


class Threads:
    """A pool that grows with the work that runs at the same time, and never shrinks.

    The event loop owns it. Callers limit how much work they submit at once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        most: int | None,
        name: str = "slot",
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Start at most ``most`` threads (None: as many as the work needs).

        ``after``: called in the thread after each piece of work.

        With one slot, all calls run in one thread, which handlers with thread-local state rely on.
        """
        self._loop = loop
        self._most = most
        self._name = name
        self._after = after
        self._inbox: SimpleQueue[tuple[Work, Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._submitted: list[tuple[Work, Any]] = []
        self._running = 0  # updated on the loop only
        self._outbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._notifying = False
        self._limited = False
        """True if the last thread could not be started."""

    @property
    def none_can_start(self) -> bool:
        """True if there is no thread, because none could be started."""
        return self._limited and not self._threads

    @property
    def dead(self) -> int:
        """Number of threads that have ended, which no thread does by itself."""
        return sum(not thread.is_alive() for thread in self._threads)

    def submit(self, work: Work, item: Any) -> None:
        """Start the work at the end of this turn of the loop.

        A thread that starts at once competes with the loop for the interpreter: the loop loses it at every
        request that it reads. At the end of the turn, the loop has read all requests that arrived together.
        """
        if not self._submitted:
            self._loop.call_soon(self._start_submitted)
        self._submitted.append((work, item))

    def _start_submitted(self) -> None:
        for given in self._submitted:
            self._running += 1
            if self._running > len(self._threads):
                self._grow()
            self._inbox.put(given)
        self._submitted.clear()

    def post(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call the callback on the loop. Callable from any thread; calls from one thread keep their order."""
        self._outbox.append((callback, arguments))
        # If the flag is set, the loop has yet to read the queue, and it clears the flag before it reads.
        if not self._notifying:
            self._notifying = True
            try:
                self._loop.call_soon_threadsafe(self._listen)
            except RuntimeError:  # the loop is closed, so nothing waits for the result
                pass

    def stop(self) -> None:
        """End the idle threads. Busy ones may run until the process exits."""
        for _ in self._threads:
            self._inbox.put(None)

    def _grow(self) -> None:
        if len(self._threads) >= (self._running if self._most is None else min(self._running, self._most)):
            return  # a thread that has passed on its last slot is about to be free
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._cannot_grow()
        else:
            self._threads.append(thread)
            self._limited = False

    def _cannot_grow(self) -> None:
        """Leave the work to the other threads. Retry later if there are none."""
        if not self._limited:
            self._limited = True
            log.error("A thread for the handler cannot be started: %s", NO_THREAD)
        if not self._threads:
            self._loop.call_later(RETRY, self._grow)

    def _run(self) -> None:
        take, post, ended, after = self._inbox.get, self.post, self._ended, self._after
        while (given := take()) is not None:
            work, item = given
            given = None  # it would keep the first item alive
            while True:
                callback, arguments, item = work(item)
                after()
                if item is None:
                    break
                post(callback, *arguments)
            post(ended, callback, arguments)
            del work, callback, arguments  # keep nothing alive while waiting

    def _ended(self, callback: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Count the thread as free before the callback, which may submit the next piece of work."""
        self._running -= 1
        callback(*arguments)

    def _listen(self) -> None:
        self._notifying = False
        outbox = self._outbox
        while outbox:
            callback, arguments = outbox.popleft()
            callback(*arguments)
