from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from gyrus.aio.virtual import VirtualClock
from gyrus.backends.memory import MemoryBackend
from gyrus.backends.protocol import Observation
from gyrus.control.controller import RESYNC, Controller
from gyrus.control.reconciler import Reconciler
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.memory import MemoryStore
from support.gateway import acknowledge
from support.world import spec


class CountedBackend(MemoryBackend):
    """Remembers which APIs were observed."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock=clock)
        self.observed: list[str] = []

    def observe(self, api: str) -> Mapping[str, Observation]:
        self.observed.append(api)
        return super().observe(api)


@asynccontextmanager
async def controlled(clock: VirtualClock, *names: str) -> AsyncGenerator[CountedBackend]:
    """Control over these APIs, from when they are live."""
    store, board, backend = MemoryStore(), Board(), CountedBackend(clock)
    await store.deploy([spec(name=name) for name in names], None, clock.now())
    controller = Controller(Reconciler(store, board, backend, clock, EventRecorder(store, board, clock)))
    await backend.adopt()
    await controller.restore()
    async with asyncio.TaskGroup() as group:
        bodies = (backend.run(), acknowledge(board), controller.run())
        tasks = [group.create_task(body) for body in bodies]
        for _ in range(5):
            await clock.settle()
        backend.observed.clear()
        yield backend
        for task in tasks:
            task.cancel()


async def test_a_step_observes_its_own_api_once() -> None:
    store, board, clock = MemoryStore(), Board(), VirtualClock()
    backend = CountedBackend(clock)
    await backend.adopt()
    await store.deploy([spec(name=name) for name in ("iris", "wine")], None, clock.now())
    reconciler = Reconciler(store, board, backend, clock, EventRecorder(store, board, clock))
    for step in range(1, 5):
        await reconciler.reconcile("iris")
        backend.advance()
        assert backend.observed == ["iris"] * step
    assert len(board.replicas["iris"]) == 1


async def test_each_api_is_looked_at_once_in_a_period_one_after_another() -> None:
    clock = VirtualClock()
    async with controlled(clock, "a", "b", "c") as backend:
        for observed in (["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "a"]):
            await clock.advance(RESYNC / 3)
            assert backend.observed == observed


async def test_dropped_events_of_deleted_apis_are_forgotten() -> None:
    store, board, clock = MemoryStore(), Board(), VirtualClock()
    await store.deploy([spec()], None, clock.now())
    board.dropped_events.update({"iris": 2, "gone": 3})
    reconciler = Reconciler(
        store, board, MemoryBackend(clock=clock), clock, EventRecorder(store, board, clock)
    )
    running = asyncio.create_task(Controller(reconciler).run())
    await clock.advance(RESYNC)
    assert board.dropped_events == {"iris": 2}
    running.cancel()
    await asyncio.wait([running])
