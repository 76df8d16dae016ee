"""Threads for work that would block the event loop, with the least overhead that Python allows.

The default executor needs a Future, a lock and two callbacks for each item. These threads need one put, and
on the way back one wake-up of the loop for all the work that ended in the meantime.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple

from gyrus.contract.system_limits import OUT_OF_PROCESSES
from gyrus.runtime.calls.side_thread import SideThread
from gyrus.runtime.handler.failure import user_traceback
from gyrus.runtime.telemetry.runtime_log import runtime_log


class Ending(NamedTuple):
    """The end of a piece of work."""

    callback: Callable[..., None]
    """The callback for the loop."""
    arguments: tuple[Any, ...]
    following: Any = None
    """The item with which the thread continues at once, by the same work."""


Work = Callable[[Any], Ending]
"""A piece of work. It must not raise, since nothing then releases what its item holds."""


class Threads:
    """A pool that grows with the work that runs at the same time, and never shrinks.

    The event loop owns it. Callers limit how much work they submit at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, most: int | None, name: str = "slot") -> None:
        """Start at most ``most`` threads (None: as many as the work needs).

        With one slot, all calls run in one thread, which handlers with thread-local state rely on.
        """
        self._loop = loop
        self._most = most
        self._name = name
        self._inbox: SimpleQueue[tuple[Work, Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._submitted: list[tuple[Work, Any]] = []
        self._running = 0  # updated on the loop only
        self._outbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._notifying = False
        self._refused_at = -1
        self.side = SideThread(f"{name}-side")
        """A thread that holds no slot, for work beside the others."""

    @property
    def dead(self) -> int:
        """Number of threads that have ended, which no thread does by itself."""
        return sum(not thread.is_alive() for thread in self._threads) + self.side.dead

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
        self.side.stop()

    def _grow(self) -> None:
        if self._most is not None and len(self._threads) >= self._most:
            return  # a thread that has passed on its last slot is about to be free
        try:
            self.start_one()
        except RuntimeError as error:  # no process or thread can be started: the work waits for a thread
            self._log_refusal(error)

    def start_one(self) -> None:
        """Start a thread. Raises RuntimeError if the system has no more."""
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _log_refusal(self, error: RuntimeError) -> None:
        """Log that no thread can be started, once for each size of the pool."""
        if self._refused_at != len(self._threads):
            self._refused_at = len(self._threads)
            runtime_log.error(
                f"only {len(self._threads)} of the handler's threads could be started ({error}): "
                f"{OUT_OF_PROCESSES}; requests wait for a thread meanwhile"
            )

    def _run(self) -> None:
        """Work until the end of the pool. No exception ends the thread."""
        while True:
            try:
                self._work()
                return
            except BaseException as error:  # of a piece of work, or one that was set for this thread
                self.post(self._fault, error)

    def _fault(self, error: BaseException) -> None:
        """Report a thread that was interrupted, and count it as free."""
        self._running -= 1
        runtime_log.error(f"a thread of the handler was interrupted by {type(error).__name__}")

    def _work(self) -> None:
        take, post, ended = self._inbox.get, self.post, self._ended
        while (given := take()) is not None:
            work, item = given
            given = None  # it would keep the first item alive
            while True:
                callback, arguments, item = work(item)
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
            try:
                callback(*arguments)
            except Exception as error:  # the callbacks behind it belong to other calls
                runtime_log.error("\n".join(("the end of a call failed", *user_traceback(error))))
