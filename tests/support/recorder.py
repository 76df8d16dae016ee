"""A recorder of events that runs as long as a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gyrus.aio.clock import Clock, SystemClock
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder, EventStore


@asynccontextmanager
async def recording(
    store: EventStore, board: Board, clock: Clock | None = None, every: float = 0
) -> AsyncGenerator[EventRecorder]:
    """It stores events at once: tests that read them wait for :meth:`EventRecorder.flushed`, not for time."""
    recorder = EventRecorder(store, board, clock or SystemClock(), every)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(recorder.run(), name="events")
        yield recorder
        task.cancel()
