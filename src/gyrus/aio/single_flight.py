"""One piece of work for all callers that need its result at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Report = Callable[[str], None]
"""Callback that takes one line about the work's progress."""
SharedWork = Callable[[Report], Coroutine[Any, Any, T]]


@dataclass(slots=True, eq=False)
class _Shared(Generic[T]):
    task: asyncio.Task[T]
    listeners: list[Report] = field(default_factory=list[Report])
    message: str = ""

    def report(self, message: str) -> None:
        self.message = message
        for listener in tuple(self.listeners):
            listener(message)


class SingleFlight(Generic[T]):
    """Work by key: the first caller starts it; it is cancelled, and ends, when the last stops waiting."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: dict[str, _Shared[T]] = {}

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the work that runs now."""
        return frozenset(self._running)

    async def join(self, key: str, work: SharedWork[T], report: Report) -> T:
        """Return the result of the work that runs for this key; starts ``work`` if none does."""
        shared = self._running.get(key) or self._begin(key, work)
        shared.listeners.append(report)
        if shared.message:
            report(shared.message)
        try:
            # Shielded: one caller's cancellation must not cancel the work of the others.
            return await asyncio.shield(shared.task)
        finally:
            shared.listeners.remove(report)
            if not shared.listeners:
                self._forget(key, shared)
                await _end(shared.task)

    def _begin(self, key: str, work: SharedWork[T]) -> _Shared[T]:
        listeners: list[_Shared[T]] = []
        task = asyncio.create_task(
            work(lambda message: listeners[0].report(message)), name=f"{self._name} {key}"
        )
        shared = _Shared(task)
        listeners.append(shared)
        self._running[key] = shared
        task.add_done_callback(lambda _: self._forget(key, shared))
        return shared

    def _forget(self, key: str, shared: _Shared[T]) -> None:
        if self._running.get(key) is shared:
            del self._running[key]


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel the task and wait until it ends, even if the waiting itself is cancelled."""
    task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.cancelled():
        task.exception()  # mark it as retrieved: asyncio would log it, and the callers have got it
    if cancelled:
        raise cancelled
