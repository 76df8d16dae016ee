"""Tells when the other side of a connection goes away that nobody reads from.

A transport that pauses is not told: its file descriptor is not watched at all then.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable

if sys.platform == "linux":

    class DisconnectWatcher:
        """Watches for the end of connections, and for nothing else. Owned by one event loop."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._poll = select.epoll()
            self._gone: dict[int, Callable[[], None]] = {}
            loop.add_reader(self._poll.fileno(), self._look)

        def watch(self, descriptor: int, gone: Callable[[], None]) -> int:
            """``gone`` is called once. Returns what :meth:`forget` takes."""
            own = os.dup(descriptor)
            self._gone[own] = gone
            self._poll.register(own, select.EPOLLRDHUP | select.EPOLLHUP)
            return own

        def forget(self, watch: int) -> None:
            if self._gone.pop(watch, None) is not None:
                self._poll.unregister(watch)
                os.close(watch)

        def close(self) -> None:
            self._loop.remove_reader(self._poll.fileno())
            for watch in tuple(self._gone):
                self.forget(watch)
            self._poll.close()

        def _look(self) -> None:
            for watch, _ in self._poll.poll(0):
                gone = self._gone.get(watch)
                self.forget(watch)
                if gone:
                    gone()

else:

    class DisconnectWatcher:
        """Here the end of a connection is noticed when it is read from again."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            del loop

        def watch(self, descriptor: int, gone: Callable[[], None]) -> int:
            del gone
            return descriptor

        def forget(self, watch: int) -> None:
            del watch

        def close(self) -> None:
            pass
