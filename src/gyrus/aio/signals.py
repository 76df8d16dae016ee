"""A hint that something changed: level-triggered, never a queue of facts.

Whoever is woken looks at the state itself; two changes before it looks are one wake-up, and none is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager


class Signals:
    """Tells any number of listeners which keys have changed since each of them last looked.

    Not thread-safe: one event loop owns it.
    """

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def notify(self, *keys: str) -> None:
        for listener in self._listeners:
            listener.notify(keys)

    @contextmanager
    def listen(self) -> Generator[Listener]:
        with listen(self) as listener:
            yield listener

    def join(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)


@contextmanager
def listen(*sources: Signals) -> Generator[Listener]:
    """One listener to all of them."""
    listener = Listener()
    for source in sources:
        source.join(listener)
    try:
        yield listener
    finally:
        for source in sources:
            source.leave(listener)


class Listener:
    """One party's unread hints."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._ready = asyncio.Event()

    def notify(self, keys: tuple[str, ...]) -> None:
        self._keys.update(keys)
        self._ready.set()

    async def wait(self) -> frozenset[str]:
        """The keys that changed since the last call; waits until there is one."""
        await self._ready.wait()
        self._ready.clear()
        keys, self._keys = frozenset(self._keys), set()
        return keys

    async def __aiter__(self) -> AsyncIterator[frozenset[str]]:
        while True:
            yield await self.wait()
