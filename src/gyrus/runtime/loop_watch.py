"""The watch over the worker's event loop: a thread that reports for how long it has been blocked, and where.

A handler's coroutine that blocks stops the whole worker: it accepts no request, answers no probe and requeues
nothing. Only another thread can report it. Native code that holds the interpreter lock stops that thread too;
then the supervisor's probe alone notices.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from gyrus.runtime.handler.failure import place_of

BEAT = 0.25
"""Seconds between two signs of life of the loop, and between two checks."""
REPORTED = 1.0
"""Seconds for which the loop is blocked before it is reported; again when they have doubled."""
LATE = 0.5
"""Seconds by which a check may be late. If it is later, the whole process did not run, not the loop alone."""

NOT_BLOCKED = 0.0

BlockReport = Callable[[float, str], None]
"""Callback with the seconds for which the loop has been blocked, and the place in the handler's code if it is
known. ``NOT_BLOCKED``: it runs again."""


@dataclass(frozen=True, slots=True)
class LoopState:
    """The observations of the loop so far. Times are monotonic seconds. Pure."""

    checked: float
    """Time of the last check."""
    reported: float = NOT_BLOCKED
    """The blocked seconds that were reported last."""

    def check(self, now: float, beat: float) -> tuple[LoopState, float | None]:
        """Return the next state, and the seconds to report. ``beat``: the loop's last sign of life.

        Returns None in place of the seconds if there is nothing new.
        """
        if now - self.checked > BEAT + LATE:
            return LoopState(now, self.reported), None
        blocked = now - beat
        if blocked < REPORTED:
            return LoopState(now), NOT_BLOCKED if self.reported else None
        if blocked < 2 * self.reported:
            return LoopState(now, self.reported), None
        return LoopState(now, blocked), blocked


class LoopWatch:
    """The watch over the event loop in which it is started."""

    def __init__(self, report: BlockReport) -> None:
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._beat_at = monotonic()
        self._timer = self._loop.call_later(BEAT, self._beat)
        self._ended = threading.Event()

    def start(self) -> None:
        """Start to watch. Where no thread can be started, the loop goes unwatched."""
        try:
            threading.Thread(target=self._run, name="event loop watch", daemon=True).start()
        except RuntimeError:
            self.stop()

    def stop(self) -> None:
        self._timer.cancel()
        self._ended.set()

    def _beat(self) -> None:
        self._beat_at = monotonic()
        self._timer = self._loop.call_later(BEAT, self._beat)

    def _run(self) -> None:
        state = LoopState(monotonic())
        while not self._ended.wait(BEAT):
            state, seconds = state.check(monotonic(), self._beat_at)
            if seconds is not None:
                self._report(seconds, self._place() if seconds else "")

    def _place(self) -> str:
        """Return the line of the handler's code that the loop's thread runs."""
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] -- documented, despite its name
        return place_of(frames.get(self._thread_id))
