"""Slots that the event loop shares with the threads of the handler."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import TypeVar

from gyrus.queueing.slots import SlotQueue, StartObserver

T = TypeVar("T", bound=Hashable)


class SharedSlotQueue(SlotQueue[T]):
    """A queue whose changes and lists are safe in any thread; single numbers need no lock.

    A thread that has ended a call takes the next one itself, so it changes the queue while the loop adds
    requests, lets them leave, and requeues them. The observer is called under the queue's lock.
    """

    __slots__ = ("_lock",)

    def __init__(self, slots: int | None, longest: int, observer: StartObserver[T] | None = None) -> None:
        super().__init__(slots, longest, observer)
        self._lock = threading.Lock()

    def start_at_once(self, item: T) -> bool:
        with self._lock:
            return super().start_at_once(item)

    def wait(self, item: T, arrived: float, *, movable: bool = True) -> bool:
        with self._lock:
            return super().wait(item, arrived, movable=movable)

    def start_next(self, at_most: int = 1) -> list[T]:
        with self._lock:
            return super().start_next(at_most)

    def pass_on(self, item: T) -> T | None:
        with self._lock:
            return super().pass_on(item)

    def finish(self, item: T) -> None:
        with self._lock:
            super().finish(item)

    def leave(self, item: T) -> bool:
        with self._lock:
            return super().leave(item)

    def next(self, at_most: int) -> list[T]:
        with self._lock:
            return super().next(at_most)

    def oldest(self, at_most: int) -> list[float]:
        with self._lock:
            return super().oldest(at_most)

    def to_requeue(self, at_most: int | None = None, *, first: int = 0, spare: int = 0) -> list[T]:
        with self._lock:
            return super().to_requeue(at_most, first=first, spare=spare)
