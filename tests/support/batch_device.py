"""A replica that batches, in virtual time: clients, the event loop, the thread and a device.

The plan is the real one (``BatchPlan``), and it is asked where ``BatchScheduler`` asks it. Everything else is
a queue of events. Times are seconds.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from statistics import mean

from gyrus.runtime.calls.batch_plan import BatchPlan
from gyrus.runtime.calls.batch_waits import AutoWait, BatchRun, FixedWait, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Times of the parts; by default those of a GPU with a 12-layer transformer."""

    fixed: float = 0.0021
    each: float = 0.00003
    read: float = 0.000003
    """Per request on the event loop."""
    answer: float = 0.000002
    parse: float = 0.0000015
    encode: float = 0.0000015
    """Per call; not in the device's time, as far as it overlaps with it."""
    hand_over: float = 0.00003
    """From the loop to the thread, and back."""
    network: float = 0.00005
    """From an answer's end to its client and the client's next request to the loop, at least."""
    held: float = 0.0
    """Share of a batch's time during which it holds the interpreter, so that the loop stands still."""
    jitter: float = 0.0
    """Standard deviation of a batch's time, as a share of it."""

    def device(self, calls: int) -> float:
        return self.fixed + self.each * calls

    def direct(self, calls: int) -> float:
        """Return the answers per second of a loop that parses, runs and encodes batches of this size."""
        return calls / (self.device(calls) + calls * (self.parse + self.encode))


@dataclass(slots=True, eq=False)
class Asked:
    client: int
    sent: float
    arrived: float = 0.0
    started: float = 0.0


@dataclass
class Measured:
    answered: list[tuple[float, Asked]] = field(default_factory=list[tuple[float, Asked]])
    batches: list[tuple[float, list[Asked]]] = field(default_factory=list[tuple[float, list[Asked]]])
    waits: list[float] = field(default_factory=list[float])
    """Seconds for which a batch that could start did not, of each batch."""
    skipped: float = 0.0
    until: float = 0.0

    @property
    def rate(self) -> float:
        return sum(self.skipped <= when < self.until for when, _ in self.answered) / (
            self.until - self.skipped
        )

    @property
    def latencies(self) -> list[float]:
        return sorted(when - asked.sent for when, asked in self.answered if when >= self.skipped)

    @property
    def mean_latency(self) -> float:
        return mean(self.latencies)

    def quantile(self, share: float) -> float:
        return self.latencies[int(share * (len(self.latencies) - 1))]

    @property
    def mean_size(self) -> float:
        return mean(len(calls) for when, calls in self.batches if when >= self.skipped)


class Replica:
    """One replica and its clients."""

    def __init__(self, wait: Wait, *, size: int = 64, parallel: int = 1, costs: Costs | None = None) -> None:
        self.plan = BatchPlan(size, wait, parallel)
        self.costs = costs or Costs()
        self.measured = Measured()
        self.now = 0.0
        self._size = size
        self._slots = size * parallel
        self._busy = 0
        self._waiting: deque[Asked] = deque()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._loop: deque[tuple[float, Callable[[], None]]] = deque()
        self._loop_runs = False
        self._turn_ends = False
        self._device_free = 0.0
        self._timer = inf
        self._startable: float | None = None
        self._random = random.Random(7)
        self.think: Callable[[int], float] = lambda _: 0.0
        self.returns: Callable[[int], bool] = lambda _: True

    # Clients

    def closed(self, clients: int, seconds: float, *, spread: float = 0.01, skip: float = 0.3) -> Measured:
        """Let so many clients each send its next request after its last answer."""
        for client in range(clients):
            self._at(self._random.uniform(0, spread), lambda client=client: self._send(client))
        return self._run(seconds, skip)

    def open(self, rate: float, seconds: float, *, skip: float = 0.3) -> Measured:
        """Let requests arrive at random, whatever happens to those before them."""
        self.returns = lambda _: False
        at, client = 0.0, 0
        while at < seconds:
            at += self._random.expovariate(rate)
            self._at(at, lambda client=client: self._send(client))
            client += 1
        return self._run(seconds, skip)

    def arrivals(self, times: Sequence[float]) -> Measured:
        """Let requests arrive at these times, and run until all are answered."""
        self.returns = lambda _: False
        for client, at in enumerate(times):
            self._at(at, lambda client=client: self._send(client))
        return self._run(inf, 0.0)

    def _send(self, client: int) -> None:
        asked = Asked(client, self.now)
        self._on_loop(self.costs.read, lambda: self._read(asked))

    def _answered(self, asked: Asked) -> None:
        self.measured.answered.append((self.now, asked))
        if self.returns(asked.client):
            pause = self.costs.network * self._random.uniform(1, 1.5) + self.think(asked.client)
            self._at(self.now + pause, lambda: self._send(asked.client))

    # The event loop: one thing after the other; a turn is all that was there when it began

    def _on_loop(self, cost: float, then: Callable[[], None]) -> None:
        self._loop.append((cost, then))
        if not self._loop_runs:
            self._loop_runs = True
            self._turn()

    def _turn(self) -> None:
        left = len(self._loop)
        if not left:
            self._loop_runs = False
            return

        def step(left: int) -> None:
            if not left:
                self._turn_is_over()
                return
            cost, then = self._loop.popleft()

            def done() -> None:
                then()
                step(left - 1)

            self._at(self.now + cost, done)

        step(left)

    def _turn_is_over(self) -> None:
        if self._turn_ends:
            self._turn_ends = False
            self._start_more()
        self._turn()

    def _read(self, asked: Asked) -> None:
        asked.arrived = self.now
        self._waiting.append(asked)
        self.plan.arrived(self.now)
        self._note_startable()
        if self.plan.is_full(len(self._waiting), self._free):
            self._start_more()
        else:
            self._turn_ends = True

    # BatchScheduler

    @property
    def _free(self) -> int:
        return self._slots - self._busy

    def _note_startable(self) -> None:
        if not self._waiting or self.plan.blocked:
            self._startable = None
        elif self._startable is None:
            self._startable = self.now

    def _start_more(self) -> None:
        while True:
            first = self._waiting[0].arrived if self._waiting else 0.0
            patience = self.plan.patience(self.now, len(self._waiting), self._free, first)
            if patience == inf:
                return
            if patience > 0:
                due = self.now + patience
                if due < self._timer or self._timer <= self.now:
                    self._timer = due
                    self._at(due, self._start_more)
                return
            self._begin(self.costs.hand_over)

    def _begin(self, after: float) -> None:
        calls = [self._waiting.popleft() for _ in range(min(self._size, self._free, len(self._waiting)))]
        self._busy += len(calls)
        self.measured.waits.append(0.0 if self._startable is None else self.now - self._startable)
        run = self.plan.started(self.now, len(calls))
        self._startable = None
        self._note_startable()
        self.measured.batches.append((self.now, calls))
        begin = max(self.now + after, self._device_free)
        time = self.costs.device(len(calls)) + len(calls) * self.costs.parse
        time *= max(0.5, self._random.gauss(1, self.costs.jitter))
        self._device_free = begin + time
        if self.costs.held:
            self._at(begin, lambda: self._on_loop(self.costs.held * time, lambda: None))
        self._at(begin + time, lambda: self._end(run, calls))

    def _end(self, run: BatchRun, calls: list[Asked]) -> None:
        self._busy -= len(calls)
        self.plan.ended(self.now, run, len(self._waiting))
        self._note_startable()
        if self.plan.follows(len(self._waiting), self._free):
            self._begin(0.0)
        encoded = self.now + len(calls) * self.costs.encode + self.costs.hand_over
        self._at(encoded, lambda: self._answer(calls))

    def _answer(self, calls: list[Asked]) -> None:
        for asked in calls:
            self._on_loop(self.costs.answer, lambda asked=asked: self._answered(asked))
        self._turn_ends = True

    # Time

    def _at(self, when: float, then: Callable[[], None]) -> None:
        heappush(self._events, (when, next(self._order), then))

    def _run(self, seconds: float, skip: float) -> Measured:
        while self._events and self._events[0][0] < seconds:
            self.now, _, then = heappop(self._events)
            then()
        self.measured.skipped, self.measured.until = skip, min(seconds, self.now)
        return self.measured


def auto(size: int = 64) -> Wait:
    return AutoWait(size)


def fixed(seconds: float) -> Wait:
    return FixedWait(seconds)
