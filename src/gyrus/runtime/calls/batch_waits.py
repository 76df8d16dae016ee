"""When a batch that is not full starts: after a fixed time, or when waiting no longer pays. Pure.

The automatic wait follows the better of two rhythms (see ``batch_rhythm``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from gyrus.runtime.calls.batch_rhythm import Rhythm, Rhythms
from gyrus.runtime.calls.batch_times import BatchDuration, ReturnPace

SHORT_WAIT = 0.005
"""Seconds that an automatic wait may always take."""
LONG_WAIT = 0.050
"""Seconds beyond which no automatic wait goes."""
WAIT_SHARE = 0.25
"""Share of a batch's running time that an automatic wait may take, if that is more than the short wait."""
SLACK = 1.5
"""Multiple of the expected time after which clients that are not back are not expected any more."""
MARGIN = 0.0003
"""Seconds beyond that, for the machine's other work."""
SERIAL = 0.5
"""Lost share of an overlap. A device that loses more counts as one that runs batches one after the other."""


@dataclass(slots=True, eq=False)
class BatchRun:
    """One batch that runs. Times are monotonic seconds."""

    started: float
    calls: int
    beside: bool
    """True if another batch was running when it started."""
    overlap: float = 0.0
    """Seconds during which another batch was running."""


class Wait(Protocol):
    """The rule by which a batch that is not full waits for more calls."""

    @property
    def bound(self) -> float:
        """The most seconds that a call waits while a batch could start."""
        ...

    def arrived(self, now: float) -> None:
        """Note a call that joins the queue."""
        ...

    def started(self, now: float) -> None:
        """Note the start of a batch."""
        ...

    def ended(
        self, now: float, run: BatchRun, waiting: int, others: Sequence[BatchRun], *, measured: bool
    ) -> None:
        """Note the end of a batch, while the others run. ``measured``: its time is typical of its size."""
        ...

    def due(self, waiting: int, first: float, *, beside: bool) -> float:
        """Return the time at which the waiting calls start, the first of which arrived at ``first``.

        ``beside``: another batch runs.
        """
        ...

    def suffices(self, waiting: int) -> bool:
        """Return True if so many calls should start the moment that a batch ends.

        Otherwise the event loop first reads the requests that have arrived meanwhile.
        """
        ...


class FixedWait:
    """A wait of a fixed number of seconds from the arrival of the first call."""

    bound = inf

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def arrived(self, now: float) -> None:
        pass

    def started(self, now: float) -> None:
        pass

    def ended(
        self, now: float, run: BatchRun, waiting: int, others: Sequence[BatchRun], *, measured: bool
    ) -> None:
        pass

    def due(self, waiting: int, first: float, *, beside: bool) -> float:
        return first + self._seconds

    def suffices(self, waiting: int) -> bool:
        return False


class AutoWait:
    """A wait for the clients that are expected back, as long as it pays, within a bound."""

    def __init__(self, size: int) -> None:
        """``size``: the most calls in a batch."""
        self._size = size
        self._duration = BatchDuration()
        self._idle_pace = ReturnPace()
        """Pace of the clients while no batch runs, which may take the interpreter or cores from the loop."""
        self._rhythms = Rhythms()
        self._clients = 0
        """Number of clients when the next batch was planned: those whose calls ran or waited."""
        self._target = 1
        """Calls with which the next batch starts at once."""
        self._enough = 1
        """Calls with which it starts as soon as the batch before it ends."""
        self._due = -inf
        self._ended = -inf
        """The end of the last batch."""
        self._returns: list[float] = []
        """Seconds from that end until each later arrival, for as many arrivals as are expected."""
        self._expected = 0
        """Calls for which the next batch has waited since that end."""
        self._loss = 1.0
        """Share of an overlap that a second batch loses: 1 if the device runs one after the other."""

    @property
    def bound(self) -> float:
        return min(LONG_WAIT, max(SHORT_WAIT, WAIT_SHARE * self._duration.longest))

    def arrived(self, now: float) -> None:
        if len(self._returns) < self._expected:
            self._returns.append(now - self._ended)

    def started(self, now: float) -> None:
        if self._expected > 0:
            # Those that are not back yet take longer than until now.
            late = [now - self._ended] * (self._expected - len(self._returns))
            self._idle_pace.add(self._returns + late)
            self._expected = 0

    def ended(
        self, now: float, run: BatchRun, waiting: int, others: Sequence[BatchRun], *, measured: bool
    ) -> None:
        if measured:
            self._measure(now, run)
        if self._clients > 1 and not others:
            surplus = waiting - max(0, self._clients - run.calls)
            self._rhythms.measure(run.calls, now - self._ended, surplus=surplus)
        self._ended = now
        self._returns = []
        if others:
            self._plan_beside()
        else:
            self._plan(now, run.calls + waiting, waiting)

    def due(self, waiting: int, first: float, *, beside: bool) -> float:
        if beside:
            return inf if self._is_serial else -inf
        return -inf if waiting >= self._target else self._due

    def suffices(self, waiting: int) -> bool:
        return waiting >= self._enough

    @property
    def _is_serial(self) -> bool:
        return self._loss > SERIAL

    def _measure(self, now: float, run: BatchRun) -> None:
        seconds = now - run.started
        if run.beside and self._duration and run.overlap > 0.25 * seconds:
            loss = (seconds - self._duration.of(run.calls)) / run.overlap
            self._loss += 0.3 * (min(max(loss, 0.0), 1.0) - self._loss)
        if not run.overlap or not self._duration:
            self._duration.add(now, run.calls, seconds)
        elif self._is_serial:
            self._duration.add(now, run.calls, now - max(run.started, self._ended))

    def _plan_beside(self) -> None:
        """Plan the next batch while another one runs: only a full one gains, unless both run in parallel."""
        self._target = self._enough = self._size if self._is_serial else 1
        self._due = -inf

    def _plan(self, now: float, clients: int, waiting: int) -> None:
        self._clients, self._expected = clients, 0
        self._target, self._due = 1, -inf
        self._enough = min(self._size, max(1, clients // 2))
        if clients < 2 or waiting >= self._size:
            return
        rhythm = self._rhythms.next(clients)
        if rhythm is not Rhythm.ALTERNATE:
            expected = clients * 2 if rhythm is Rhythm.GROW else clients
            self._target = self._enough = min(expected, self._size)
            self._expected = min(clients, self._size) - waiting
            self._due = now + self._patience(self._target - waiting)

    def _patience(self, missing: int) -> float:
        """Return the seconds within which so many clients should be back."""
        return min(self.bound, SLACK * self._idle_pace.of(missing) + MARGIN)
