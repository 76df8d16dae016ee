"""An operator's restart, in virtual time: the next one decides as if it had been there all the time."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.autoscaling.default import DefaultPolicy
from gyrus.autoscaling.memory import VERSION
from gyrus.contract.operator import ScalingView, TrafficView
from gyrus.contract.workload import ComputeResources
from gyrus.control.autoscaler import SAVE_EVERY, Autoscaler
from gyrus.state.board import Board, Traffic
from gyrus.state.errors import StorageFull
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.memory import MemoryStore
from gyrus.state.records import ScalingMemory
from support.world import spec

SETTINGS = {"min_replicas": 0, "max_replicas": 30, "downscale_stabilization_period": "1m"}


class Unlimited:
    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        return None

    def shortage_for(self, api: str, compute: ComputeResources) -> str:
        return ""


class Stage:
    """A store, and one operator's autoscaler after the other."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = VirtualClock()
        self.board = Board()
        self.seconds = 0
        self._see()

    async def deploy(self) -> None:
        await self.store.deploy([spec(autoscaling=SETTINGS)], None, self.clock.now())
        self.board.intent_signals.notify("iris")

    @asynccontextmanager
    async def operator(self, *, killed: bool = False) -> AsyncGenerator[Autoscaler]:
        """With a board of its own. ``killed``: it ends without a chance to save."""
        self.board = Board(traffic=self.board.traffic)
        recorder = EventRecorder(self.store, self.board, self.clock)
        scaler = Autoscaler(self.store, self.board, self.clock, recorder, DefaultPolicy, Unlimited())
        running = asyncio.create_task(scaler.run())
        await self.clock.settle()
        try:
            yield scaler
        finally:
            running.cancel()
            await asyncio.wait([running])
        if not killed:
            await scaler.save_memories()

    async def follow(self, seconds: int) -> list[ScalingView]:
        """Let the load rise and fall; returns each second's decision."""
        seen: list[ScalingView] = []
        for _ in range(seconds):
            self._see()
            await self.clock.advance(1)
            seen.append(self.board.scaling["iris"])
            self.seconds += 1
        return seen

    async def restart_follows(self) -> None:
        """The last half of a second of an operator. The next one starts at the end of the second."""
        self._see()
        await self.clock.advance(0.5)
        self.seconds += 1

    def _see(self) -> None:
        second = self.seconds // 6 * 6  # a change at the moment of a restart would be seen a look later
        load = max(0, round(6 * math.sin(second / 40)) + (20 if second % 150 > 130 else 0))
        self.board.traffic = {"iris": Traffic(in_flight=load, view=TrafficView())}

    async def memory(self) -> ScalingMemory:
        memory = await self.store.memory("iris")
        assert memory
        return memory


async def test_decisions_after_a_restart_equal_those_without_one() -> None:
    steady, restarted = Stage(), Stage()
    for stage in (steady, restarted):
        await stage.deploy()
    async with steady.operator():
        expected = await steady.follow(920)
    seen: list[ScalingView] = []
    for _ in range(3):
        async with restarted.operator():
            seen += [restarted.board.scaling["iris"]] if seen else []
            seen += await restarted.follow(304)
            await restarted.restart_follows()
        await restarted.clock.advance(0.5)
    expected = expected[: len(seen)]
    assert [view.replicas for view in seen] == [view.replicas for view in expected]
    assert [view.message for view in seen] == [view.message for view in expected]
    assert len({view.replicas for view in seen}) > 5


async def test_a_killed_operator_loses_some_minutes() -> None:
    stage = Stage()
    await stage.deploy()
    async with stage.operator(killed=True):
        await stage.follow(round(SAVE_EVERY * 1.5))
    saved_at = (await stage.memory()).saved_at.timestamp()
    assert SAVE_EVERY / 2 - 2 <= stage.clock.now().timestamp() - saved_at <= SAVE_EVERY / 2 + 2
    async with stage.operator():
        [view] = await stage.follow(1)
    assert "forecast" in view.inputs  # it needs experience


async def test_time_of_the_last_request_outlives_the_operator() -> None:
    stage = Stage()
    await stage.deploy()
    async with stage.operator():
        await stage.follow(30)
        asked = stage.board.asked["iris"]
    stage.seconds = 200  # no load
    async with stage.operator():
        await stage.clock.settle()
        assert stage.board.asked["iris"] == asked


@pytest.mark.parametrize(
    ("version", "document", "reason"),
    [(VERSION + 1, None, f"version {VERSION + 1}, and"), (VERSION, b"no", "it is damaged")],
)
async def test_what_cannot_be_read_is_dropped_with_one_line(
    version: int, document: bytes | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gyrus.control")
    stage = Stage()
    await stage.deploy()
    async with stage.operator():
        await stage.follow(60)
    known = await stage.memory()
    changed = replace(known, version=version, document=document or known.document)
    await stage.store.save_memories([changed])
    async with stage.operator():
        [view] = await stage.follow(1)
        assert "forecast" not in view.inputs
    [line] = caplog.messages
    assert line.startswith("dropping what the autoscaler had learned about iris: ")
    assert reason in line
    assert (await stage.memory()).version == VERSION  # of the second operator


class Full(MemoryStore):
    async def save_memories(self, memories: object) -> None:
        raise StorageFull("The disk is full.")


async def test_a_store_that_fails_is_logged_and_decisions_continue(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(Full())
    await stage.deploy()
    async with stage.operator():
        await stage.follow(round(SAVE_EVERY) + 5)
        assert caplog.messages == ["cannot store what the autoscaler has learned: The disk is full."]


async def test_deleted_api_loses_its_memory() -> None:
    stage = Stage()
    await stage.deploy()
    async with stage.operator() as scaler:
        await stage.follow(10)
        await stage.store.mark_deleting("iris", stage.clock.now())
        await stage.store.remove("iris")
        await scaler.save_memories()
        assert await stage.store.memory("iris") is None
        await stage.clock.advance(1)
        await stage.deploy()
        await scaler.save_memories()
        assert await stage.store.memory("iris") is None
