"""Signals that something changed: level-triggered, never a queue of facts.

A listener reads the state itself after a signal. Two changes before it reads wake it once, and no change is
lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager


class Signals:
    """Notify any number of listeners of the keys that changed since each of them last waited.

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
    """Yield one listener to all of these sources."""
    listener = Listener()
    for source in sources:
        source.join(listener)
    try:
        yield listener
    finally:
        for source in sources:
            source.leave(listener)


class Listener:
    """The unread signals of one subscriber."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._ready = asyncio.Event()

    def notify(self, keys: tuple[str, ...]) -> None:
        self._keys.update(keys)
        self._ready.set()

    async def wait(self) -> frozenset[str]:
        """Wait until a key has changed since the last call, and return all that have."""
        await self._ready.wait()
        return self.take()

    def take(self) -> frozenset[str]:
        """Return the keys that changed since the last call, if any, without waiting."""
        # No await between clearing and taking the keys, so that a signal in between cannot be lost.
        self._ready.clear()
        keys, self._keys = frozenset(self._keys), set()
        return keys

    async def __aiter__(self) -> AsyncIterator[frozenset[str]]:
        while True:
            yield await self.wait()
