"""How long replicas take, measured in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.contract.operator import StartupTimes
from gyrus.contract.replica import Phase, Reason, StartKind
from gyrus.control.situation import Situation
from gyrus.control.startup_times import DEFAULT, StartupTimer, expected, summed_up
from gyrus.state.board import Board, Replica, pool_id
from gyrus.state.errors import StorageFull
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api, StartupTime
from support.world import api, replica, spec


def situation(*replicas: Replica, reached: bool = True, of: Api | None = None) -> Situation:
    endpoints = frozenset(endpoint for r in replicas for endpoint in r.status.endpoints)
    pools = {pool_id("iris", r.generation): endpoints for r in replicas}
    return Situation(
        api=of or api(),
        target_spec=spec(),
        live_spec=None,
        replicas=replicas,
        retiring=frozenset(),
        acknowledged=pools if reached else {},
        reachable=endpoints,
    )


async def startup_timer(store: MemoryStore | None = None, clock: VirtualClock | None = None) -> StartupTimer:
    clock, store = clock or VirtualClock(), store or MemoryStore()
    if not await store.apis():
        await store.deploy([spec()], None, clock.now())
    return StartupTimer(store, Board(), clock)


async def step(timer: StartupTimer, observed: Situation) -> None:
    """Do what a step of the reconciler does."""
    await timer.recall(observed.api)
    timer.look(observed)
    await timer.store_measured(observed.api.name)


def cold(*seconds: float) -> tuple[StartupTimes, ...]:
    middle = sorted(seconds)[(len(seconds) - 1) // 2]
    return (StartupTimes(kind=StartKind.COLD, median=middle, last=seconds[-1], count=len(seconds)),)


async def test_a_start_lasts_until_requests_reach_the_replica() -> None:
    clock = VirtualClock()
    watch = await startup_timer(clock=clock)
    watch.ordered("iris", "r1")
    await clock.advance(2)
    await step(watch, situation(replica("r1", phase=Phase.STARTING)))
    await step(watch, situation(replica("r1"), reached=False))
    assert not watch.board.starts["iris"]
    await clock.advance(0.5)
    await step(watch, situation(replica("r1")))
    await step(watch, situation(replica("r1")))
    assert watch.board.starts["iris"] == cold(2.5)


async def test_warm_starts_are_distinguished_from_cold_ones() -> None:
    watch = await startup_timer()
    watch.ordered("iris", "r1")
    await step(watch, situation(replica("r1", start=StartKind.WARM)))
    assert [times.kind for times in watch.board.starts["iris"]] == [StartKind.WARM]


async def test_the_next_operator_knows_them() -> None:
    store = MemoryStore()
    watch = await startup_timer(store)
    watch.ordered("iris", "r1")
    await step(watch, situation(replica("r1")))
    await step(watch, situation(replica("r1")))  # each start is stored once
    other = await startup_timer(store)
    await step(other, situation(replica("r1")))  # it runs already, and is not measured again
    assert other.board.starts["iris"] == cold(0)


@pytest.mark.parametrize("trouble", [Phase.BACKOFF, Phase.FAILED, Phase.DRAINING])
async def test_a_start_that_failed_is_no_measure(trouble: Phase) -> None:
    watch = await startup_timer()
    watch.ordered("iris", "r1")
    await step(watch, situation(replica("r1", phase=trouble, reason=Reason.INIT)))
    await step(watch, situation(replica("r1", restarts=1)))
    assert not watch.board.starts["iris"]


async def test_each_revision_has_its_own() -> None:
    watch = await startup_timer()
    await watch.store.deploy([spec(env={"A": "b"})], None, watch.clock.now())
    watch.ordered("iris", "r1")
    await step(watch, situation(replica("r1")))
    await step(watch, situation(replica("r1"), of=api(target=2)))
    assert watch.board.starts["iris"] == ()
    watch.ordered("iris", "r2")
    await step(watch, situation(replica("r2", 2), of=api(target=2)))
    assert watch.board.starts["iris"] == cold(0)


class Full(MemoryStore):
    async def record_start(self, start: StartupTime) -> None:
        raise StorageFull("the disk is full")


async def test_a_full_disk_costs_memory_alone() -> None:
    watch = await startup_timer(Full())
    watch.ordered("iris", "r1")
    await step(watch, situation(replica("r1")))
    assert watch.board.starts["iris"] == cold(0)


async def test_a_replica_that_went_before_it_was_there_leaves_nothing() -> None:
    watch = await startup_timer()
    watch.ordered("iris", "r1")
    await step(watch, situation())
    await step(watch, situation(replica("r1")))
    assert not watch.board.starts["iris"]


async def test_what_is_gone_is_forgotten() -> None:
    watch = await startup_timer()
    await step(watch, situation())
    watch.forget("iris")
    assert not watch.board.starts


def test_the_next_start_is_expected_to_be_as_the_last_ones() -> None:
    clock = VirtualClock()
    slow = StartupTime(api="iris", revision=1, kind=StartKind.COLD, seconds=40, time=clock.now())
    warm = replace(slow, kind=StartKind.WARM, seconds=0.1)
    warming = spec(handler={"path": "handler.py", "warm_start": "module"})
    off, on = spec().workload(None), warming.workload(None)
    assert expected((), on) == DEFAULT
    assert expected(summed_up([slow]), on) == 40
    assert expected(summed_up([slow, replace(slow, seconds=2)]), on) == 2  # the first built an environment
    assert expected(summed_up([slow, warm]), on) == 0.1
    assert expected(summed_up([slow, warm]), off) == 40
