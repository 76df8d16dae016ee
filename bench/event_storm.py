"""How long a deploy takes beside a storm of events, and what becomes of the events.

16 writers record two events every 20 ms, as a busy reconciler does, while deploys come one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from gyrus.aio.clock import SystemClock
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.records import Event
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import open_store
from gyrus.state.store import Store

WRITERS = 16
PAUSE = 0.02
"""Seconds between two events of a writer, and between two deploys."""


async def main(deploys: int, folder: Path) -> None:
    board = Board()
    async with open_store(sqlite_url(folder / "state.db")) as store, asyncio.TaskGroup() as group:
        await store.deploy([spec(f"api-{number}") for number in range(WRITERS)], None, datetime.now(UTC))
        recorder = EventRecorder(store, board, SystemClock())
        running = group.create_task(recorder.run(), name="events")
        report("quiet", await deploy(store, deploys, 0))
        async with storm(recorder) as recorded:
            began = time.perf_counter()
            report("beside a storm", await deploy(store, deploys, deploys))
            rate = len(recorded) / (time.perf_counter() - began)
        began = time.perf_counter()
        await recorder.flushed()
        print(f"{rate:,.0f} events/s, the last stored after {time.perf_counter() - began:.2f} s, "
              f"{board.dropped_events.total()} dropped")  # fmt: skip
        running.cancel()


async def deploy(store: Store, count: int, first: int) -> list[float]:
    """Return the seconds that each deploy took, shortest first."""
    times: list[float] = []
    for number in range(first, first + count):
        began = time.perf_counter()
        await store.deploy([spec("iris", str(number))], None, datetime.now(UTC))
        times.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    return sorted(times)


@asynccontextmanager
async def storm(recorder: EventRecorder) -> AsyncGenerator[list[str]]:
    """Record events all the time. Yields a list that grows with each."""
    recorded: list[str] = []

    async def write(api: str) -> None:
        while True:
            for _ in range(2):
                replica = f"{api}-{len(recorded)}"
                recorded.append(replica)
                message = f"Replica {replica} is ready"
                recorder.record(
                    Event(api=api, time=datetime.now(UTC), type="normal", reason="ReplicaReady",
                          message=message, replica=replica)
                )  # fmt: skip
            await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(f"api-{number}")) for number in range(WRITERS)]
        yield recorded
        for writer in writers:
            writer.cancel()


def spec(name: str, version: str = "") -> RealtimeSpec:
    return RealtimeSpec.model_validate(
        {"name": name, "process": {"command": ["x"]}, "env": {"VERSION": version}}
    )


def report(what: str, times: list[float]) -> None:
    figures = {"p50": times[len(times) // 2], "p95": times[int(len(times) * 0.95)], "most": times[-1]}
    text = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in figures.items())
    print(f"deploys, {what}: {text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deploys", type=int, default=150)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on the disk to measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        asyncio.run(main(arguments.deploys, Path(made)))
