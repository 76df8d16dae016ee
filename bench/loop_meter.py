"""A meter of an event loop: it times every callback, and charges it to the name of its task."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

BENCH = "bench"
"""The name of the task that measures."""
_NUMBER = re.compile(r"[-_ ]?\d+$")


@dataclass(slots=True)
class Part:
    """The cost of one kind of task. Times in seconds."""

    callbacks: int = 0
    cpu: float = 0.0
    """CPU time of the loop's thread."""
    longest: float = 0.0
    """CPU time of the longest callback: what others on this machine do does not count."""


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
        """The part that held the loop longest, and the seconds; the benchmark's own task does not count."""
        measured = self.parts.keys() - {BENCH}
        name = max(measured, key=lambda each: self.parts[each].longest, default="")
        return name, self.parts[name].longest if name else 0.0


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
            began = time.thread_time()
            run(handle)
            took = time.thread_time() - began
            part = self._window.parts.get(name) or self._window.parts.setdefault(name, Part())
            part.callbacks += 1
            part.cpu += took
            part.longest = max(part.longest, took)

        return timed

    def _collection(self, phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "start":
            self._began = time.thread_time()
            return
        took = time.thread_time() - self._began
        self._window.collected += took
        self._window.longest_collection = max(self._window.longest_collection, took)


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
