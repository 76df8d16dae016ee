"""A meter of an event loop: it times every callback, and charges it to the name of its task."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

BENCH = "bench"
"""The name of the task that measures."""
NONE = ("", 0.0)
"""The longest hold of a window without callbacks."""
_NUMBER = re.compile(r"[-_ ]?\d+$")


@dataclass(slots=True)
class Part:
    """The cost of one kind of task. Times in seconds."""

    callbacks: int = 0
    cpu: float = 0.0
    """CPU time of the loop's thread."""
    longest: float = 0.0
    """CPU time of the longest callback: what others on this machine do does not count."""
    longest_wall: float = 0.0
    """Time that passed in the longest callback. Waiting for a core or for the interpreter lock counts."""


@dataclass(slots=True)
class Window:
    """All that was measured between two moments."""

    seconds: float = 0.0
    process: float = 0.0
    """CPU time of all threads, in seconds."""
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    collected: float = 0.0
    """CPU time of the garbage collector, in seconds; also within the parts."""
    longest_collection: float = 0.0

    @property
    def cpu(self) -> float:
        """CPU time of the loop's thread, in seconds."""
        return sum(part.cpu for part in self.parts.values())

    @property
    def longest(self) -> tuple[str, float]:
        """The part that held the loop longest, and the seconds of CPU."""
        return max(((name, part.longest) for name, part in self._measured()), key=_seconds, default=NONE)

    @property
    def longest_wall(self) -> tuple[str, float]:
        """The part that held the loop longest by the clock, and the seconds that passed."""
        return max(((name, part.longest_wall) for name, part in self._measured()), key=_seconds, default=NONE)

    def _measured(self) -> Iterator[tuple[str, Part]]:
        """Yield the parts without the benchmark's own task."""
        return ((name, part) for name, part in self.parts.items() if name != BENCH)


class LoopMeter:
    """Times each callback of asyncio's own loop, as long as :meth:`installed` lasts."""

    def __init__(self) -> None:
        self._window = Window()

    @contextmanager
    def installed(self) -> Generator[None]:
        handle: Any = asyncio.Handle
        original = handle._run
        handle._run = self._timed(original)
        gc.callbacks.append(self._collection)
        try:
            yield
        finally:
            gc.callbacks.remove(self._collection)
            handle._run = original

    @contextmanager
    def measuring(self) -> Generator[Window]:
        """Measure the window of this block. Windows do not overlap."""
        window = self._window = Window()
        began, cpu = time.monotonic(), time.process_time()
        try:
            yield window
        finally:
            window.seconds, window.process = time.monotonic() - began, time.process_time() - cpu
            self._window = Window()

    def _timed(self, run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
        def timed(handle: asyncio.Handle) -> None:
            name = _name(handle)
            began, cpu = time.perf_counter(), time.thread_time()
            run(handle)
            took, passed = time.thread_time() - cpu, time.perf_counter() - began
            part = self._window.parts.get(name) or self._window.parts.setdefault(name, Part())
            part.callbacks += 1
            part.cpu += took
            part.longest = max(part.longest, took)
            part.longest_wall = max(part.longest_wall, passed)

        return timed

    def _collection(self, phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "start":
            self._began = time.thread_time()
            return
        took = time.thread_time() - self._began
        self._window.collected += took
        self._window.longest_collection = max(self._window.longest_collection, took)


def _seconds(hold: tuple[str, float]) -> float:
    return hold[1]


def _name(handle: asyncio.Handle) -> str:
    """Return the name of the task that the callback continues, without its number, else its own name."""
    callback = cast(Any, handle)._callback
    owner = getattr(callback, "__self__", None)
    if not isinstance(owner, asyncio.Task):
        return getattr(callback, "__qualname__", type(callback).__name__)
    task = cast("asyncio.Task[Any]", owner)
    name = task.get_name()
    if name.startswith("Task-"):
        name = getattr(task.get_coro(), "__qualname__", name)
    return _NUMBER.sub("", name)
