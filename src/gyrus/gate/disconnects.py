"""Notices that the peer has closed a connection from which the activator does not read.

A paused transport gets no such event: asyncio does not watch its file descriptor.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable

if sys.platform == "linux":

    class DisconnectWatcher:
        """Watcher for the end of connections alone. Owned by one event loop."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._poll = select.epoll()
            self._gone: dict[int, Callable[[], None]] = {}
            loop.add_reader(self._poll.fileno(), self._look)

        def watch(self, descriptor: int, gone: Callable[[], None]) -> int:
            """Call ``gone`` once the peer closes. Returns the watch, for :meth:`forget`."""
            # A copy: the number stays valid, and is not used again, even if the transport closes its own.
            own = os.dup(descriptor)
            self._gone[own] = gone
            # No EPOLLIN: unread data would wake the loop again and again.
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
        """Stand-in for systems without epoll: the end of a connection shows when it is read again."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            del loop

        def watch(self, descriptor: int, gone: Callable[[], None]) -> int:
            del gone
            return descriptor

        def forget(self, watch: int) -> None:
            del watch

        def close(self) -> None:
            pass
