"""After very many requests with any outcome, no call, slot or deadline is left."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from typing import TYPE_CHECKING, TypeVar, cast

import pytest

from gyrus.contract.replica import LONGEST_KEPT_BODY, Limits
from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.admission import Admission
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.single import SingleScheduler
from gyrus.runtime.server.answer import JSON, Answer
from gyrus.runtime.server.exchange import Exchange
from gyrus.runtime.server.request import Request
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal
from gyrus.runtime.telemetry.metrics import Metrics
from support.serving import eventually

if TYPE_CHECKING:
    from gyrus.runtime.server.connection import Connection

T = TypeVar("T")

MANY = 100_000
LIMITS = Limits(max_concurrency=3, max_queue_length=40, timeout=0.3)
LARGE = bytes(LONGEST_KEPT_BODY + 1)
DONE = Answer(200, JSON, b"{}")


class Connections:
    """Stands for all connections; counts what comes back on them."""

    choked = False
    closing = False

    def __init__(self) -> None:
        self.answers = 0
        self.server = self

    def tally(self, status: int, seconds: float) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def answered(self, exchange: Exchange, *, close: bool) -> None:
        self.answers += 1


class Handlers:
    """Run until the test ends them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def start(self, call: Call) -> None:
        self.calls.append(call)


class Crowd:
    """Does one thing after the other to a desk, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.queue: SlotQueue[Call] = SlotQueue(LIMITS.max_concurrency, LIMITS.max_queue_length)
        self.metrics = Metrics()
        self.admission = Admission(self.queue, LIMITS, self.metrics, BacklogSignal(None, "a"))
        self.handlers = Handlers()
        self.admission.open(SingleScheduler(self.queue, self.handlers))
        self.connections = Connections()
        self.clients: list[Exchange] = []
        self.arrived = 0
        self.lost = 0

    def arrive(self) -> None:
        headers = {b"x-gyrus-arrived": b"%.3f" % (time.time() - self.chance.random() * 0.35)}
        body = LARGE if self.chance.random() < 0.05 else b"1"
        request = Request(b"POST", b"/", headers if self.chance.random() < 0.5 else {}, body)
        exchange = Exchange(cast("Connection", self.connections), request)
        self.arrived += 1
        self.admission.admit(exchange)
        if exchange.open:
            self.clients.append(exchange)

    def go_away(self) -> None:
        exchange = self._any(self.clients)
        if exchange is not None and exchange.open:
            self.lost += 1
            exchange.lost()

    def end_one(self) -> None:
        call = self._any(self.handlers.calls)
        if call is not None:
            self.admission.answer(call, self.chance.choice([DONE, DONE, None]) if call.cancelled else DONE)
            self.admission.release(call)

    def requeue(self) -> None:
        self.admission.requeue(self.chance.randrange(30))

    def act(self) -> None:
        act = self.chance.choices(
            (self.arrive, self.end_one, self.go_away, self.requeue), weights=(50, 42, 8, 0.5)
        )
        act[0]()

    def _any(self, things: list[T]) -> T | None:
        return things.pop(self.chance.randrange(len(things))) if things else None


def alive() -> list[Call | Exchange]:
    return [one for one in gc.get_objects() if isinstance(one, Call | Exchange)]


@pytest.mark.slow
async def test_after_a_hundred_thousand_requests_all_counts_are_zero() -> None:
    before = alive()  # an error that another test has kept may refer to a call
    crowd = Crowd(11)
    while crowd.arrived < MANY:
        for _ in range(100):
            crowd.act()
        crowd.clients = [client for client in crowd.clients if client.open]
        await asyncio.sleep(0)
    crowd.admission.drain()
    while not crowd.queue.empty:
        crowd.end_one()
        await asyncio.sleep(0)
    queue, admission = crowd.queue, crowd.admission
    assert (queue.busy, queue.waiting, queue.movable, len(admission.overdue)) == (0, 0, 0, 0)
    assert crowd.connections.answers + crowd.lost == crowd.arrived
    counted = crowd.metrics
    assert min(counted.requeued, counted.timed_out, counted.abandoned, counted.rejected) > 100
    crowd.clients.clear()
    await eventually(lambda: not [one for one in alive() if one not in before])
