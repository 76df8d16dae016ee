"""Threads for work that would hold up the event loop, with as short a way there and back as Python allows.

The default executor takes a Future, a lock and two callbacks an item; here it is one put, and on the way back
one wake-up of the loop for all that was done meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Ending = tuple[Callable[..., None], tuple[Any, ...]]
"""What to call on the loop when a piece of work is over, and with what."""
Work = Callable[[Any], Ending]
"""Must not raise."""


class Threads:
    """Grows with the work that runs at the same time, and never shrinks. The event loop owns it; whoever
    submits work bounds how much runs at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str = "slot") -> None:
        self._loop = loop
        self._name = name
        self._inbox: SimpleQueue[tuple[Work, Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running = 0  # as the loop knows
        self._told: deque[Ending] = deque()
        self._notifying = False

    @property
    def dead(self) -> int:
        """Threads that ended, which none does by itself."""
        return sum(not thread.is_alive() for thread in self._threads)

    def submit(self, work: Work, item: Any) -> None:
        self._running += 1
        if self._running > len(self._threads):
            self._grow()
        self._inbox.put((work, item))

    def tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        """From any thread: call it on the loop. In order for each thread."""
        self._told.append((callback, arguments))
        if not self._notifying:  # else the loop is about to look, and clears this before it does
            self._notifying = True
            try:
                self._loop.call_soon_threadsafe(self._listen)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                pass

    def stop(self) -> None:
        """Idle threads end; those in the middle of something are left to the process's end."""
        for _ in self._threads:
            self._inbox.put(None)

    def _grow(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        take, tell, ended = self._inbox.get, self.tell, self._ended
        while (given := take()) is not None:
            work, item = given
            callback, arguments = work(item)
            tell(ended, callback, arguments)
            del given, work, item, callback, arguments  # keep nothing alive while waiting

    def _ended(self, callback: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """The thread is free before its successor is looked for."""
        self._running -= 1
        callback(*arguments)

    def _listen(self) -> None:
        self._notifying = False
        told = self._told
        while told:
            callback, arguments = told.popleft()
            callback(*arguments)
