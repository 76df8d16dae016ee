"""What every backend promises, on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gyrus.backends.protocol import Backend, ReplicaOrder
from gyrus.contract.operator import LogQuery
from gyrus.contract.replica import Phase, Reason
from support.backends import MemoryWorld, World, all_of, gone, local_world, observed, order, running, until
from support.cluster import needs_cluster
from support.cluster_world import cluster_world

ID = "iris-1-aaaaa"
ON_CLUSTER = (needs_cluster, pytest.mark.slow)
GRACE = 10.0


@pytest.fixture(params=["memory", "local", pytest.param("kubernetes", marks=ON_CLUSTER)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield MemoryWorld()
        case "local":
            with local_world() as made:
                yield made
        case _:
            request.applymarker(pytest.mark.timeout(300))
            async with cluster_world() as found:
                yield found


async def test_a_started_replica_becomes_ready(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID, generation=7))
        assert ID in all_of(backend)
        seen = await observed(backend, ID, Phase.READY)
    assert seen.generation == 7
    assert (seen.status.id, seen.status.api, seen.status.revision) == (ID, "iris", 7)
    assert len(seen.status.endpoints) == 1
    assert seen.status.ready_at
    assert seen.status.restarts == 0


async def test_starting_twice_is_starting_once(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await asyncio.gather(backend.start(order(ID)), backend.start(order(ID)))
        ready = await observed(backend, ID, Phase.READY)
        await backend.start(order(ID))
        assert dict(all_of(backend)) == {ID: ready}


async def test_what_is_started_before_the_run_waits_for_it(world: World) -> None:
    backend = world.backend()
    await backend.adopt()
    await backend.start(order(ID))
    assert all_of(backend)[ID].status.phase is Phase.PENDING
    async with running(backend):
        await observed(backend, ID, Phase.READY)


async def test_a_stopped_replica_drains_and_is_gone(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await observed(backend, ID, Phase.READY)
        await backend.stop(ID, grace=GRACE)
        draining = all_of(backend)[ID].status
        assert draining.phase is Phase.DRAINING
        assert draining.endpoints == ()
        await backend.stop(ID, grace=GRACE)
        await gone(backend, ID)
        await backend.stop(ID, grace=GRACE)


async def test_a_replica_is_stopped_before_it_is_ready(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await backend.stop(ID, grace=GRACE)
        await gone(backend, ID)


async def test_it_reads_its_own_writes(world: World) -> None:
    """A start or a stop is visible at once, without a turn of the event loop."""
    backend = world.backend()
    other = "iris-1-bbbbb"
    async with running(backend):
        await backend.start(order(ID, generation=3))
        assert backend.observe("iris")[ID].generation == 3
        await observed(backend, ID, Phase.READY)
        await backend.start(order(other))
        assert set(backend.observe("iris")) == {ID, other}
        await backend.stop(ID, grace=GRACE)
        stopped = backend.observe("iris").get(ID)
        assert stopped is None or (stopped.status.phase, stopped.status.endpoints) == (Phase.DRAINING, ())
        await backend.stop(other, grace=GRACE)
        unready = backend.observe("iris").get(other)
        assert unready is None or unready.status.phase is Phase.DRAINING


async def test_an_api_is_observed_for_itself(world: World) -> None:
    backend = world.backend()
    assert not backend.apis()
    async with running(backend):
        for id in (ID, "iris-1-bbbbb", "wine-1-aaaaa"):
            await backend.start(order(id))
        assert set(backend.apis()) == {"iris", "wine"}
        assert set(backend.observe("iris")) == {ID, "iris-1-bbbbb"}
        assert set(backend.observe("wine")) == {"wine-1-aaaaa"}
        assert not backend.observe("flat")
        await backend.stop("wine-1-aaaaa", grace=GRACE)
        await gone(backend, "wine-1-aaaaa")
        assert set(backend.apis()) == {"iris"}
        assert not backend.observe("wine")


async def test_stopping_one_leaves_the_others(world: World) -> None:
    backend = world.backend()
    other = "iris-1-bbbbb"
    async with running(backend):
        await backend.start(order(ID))
        await backend.start(order(other))
        await observed(backend, other, Phase.READY)
        await backend.stop(ID, grace=GRACE)
        await gone(backend, ID)
        assert all_of(backend)[other].status.phase is Phase.READY


async def test_changes_name_the_api(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        with backend.changes.listen() as changes:
            await backend.start(order("wine-1-aaaaa"))
            async with asyncio.timeout(GRACE):
                assert await changes.wait() == {"wine"}


async def test_replicas_outlive_their_operator(world: World) -> None:
    first = world.backend()
    async with running(first):
        await first.start(order(ID, generation=3))
        before = await observed(first, ID, Phase.READY)
    second = world.backend()
    assert not all_of(second)
    await second.adopt()
    assert dict(all_of(second)) == {ID: before}
    async with running(second):
        await second.stop(ID, grace=GRACE)
        await gone(second, ID)
    third = world.backend()
    await third.adopt()
    assert not all_of(third)


async def test_an_order_is_kept_though_the_operator_dies_at_once(world: World) -> None:
    first = world.backend()
    await first.adopt()
    await first.start(order(ID))
    second = world.backend()
    async with running(second):
        await observed(second, ID, Phase.READY)


async def test_a_process_that_dies_is_started_again_in_its_place(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await observed(backend, ID, Phase.READY)
        world.kill(backend, ID)
        died = (await observed(backend, ID, Phase.BACKOFF)).status
        assert died.reason is Reason.KILLED
        assert died.endpoints == ()
        again = (await observed(backend, ID, Phase.READY)).status
        assert again.restarts == 1
        assert again.reason is None


async def test_what_fails_for_good_stays_until_it_is_stopped(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(world.broken(ID))
        failed = (await observed(backend, ID, Phase.FAILED)).status
        assert failed.reason is Reason.DEPENDENCIES
        assert failed.message
        await backend.stop(ID, grace=GRACE)
        await gone(backend, ID)


async def test_one_that_runs_once_succeeds_and_stays_until_it_is_stopped(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(world.ending(ID, 0))
        done = (await observed(backend, ID, Phase.SUCCEEDED)).status
        assert (done.exit_code, done.reason, done.restarts, done.endpoints) == (0, None, 0, ())
        await backend.start(world.ending(ID, 0))
        assert backend.observe("iris")[ID].status == done
        await backend.stop(ID, grace=GRACE)
        await gone(backend, ID)


async def test_one_that_runs_once_fails_with_its_exit_code(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(world.ending(ID, 3))
        failed = (await observed(backend, ID, Phase.FAILED)).status
        assert (failed.exit_code, failed.reason, failed.restarts) == (3, Reason.EXITED, 0)
        assert failed.message == "it exited with code 3"


async def test_what_has_run_once_holds_nothing_and_is_found_by_the_next_operator(world: World) -> None:
    first = world.backend(cores=0.2)
    async with running(first):
        await first.start(world.ending(ID, 0))
        done = await observed(first, ID, Phase.SUCCEEDED)
        await first.start(needing("wine-1-aaaaa"))
        await observed(first, "wine-1-aaaaa", Phase.READY)
    second = world.backend(cores=0.2)
    await second.adopt()
    assert second.observe("iris") == {ID: done}
    async with running(second):
        await second.stop(ID, grace=GRACE)
        await gone(second, ID)


def needing(id: str, cpu: float = 0.2, **changes: Any) -> ReplicaOrder:
    return order(id, compute={"cpu": cpu}, **changes)


async def waits(backend: Backend, id: str) -> str:
    """The message of a replica that waits for capacity."""
    await until(backend, lambda: all_of(backend)[id].status.reason is Reason.CAPACITY)
    status = all_of(backend)[id].status
    assert status.phase is Phase.PENDING
    return status.message


async def test_what_does_not_fit_waits_and_reports_why_until_another_is_gone(world: World) -> None:
    backend = world.backend(cores=0.5)
    async with running(backend):
        for id in ("iris-1-aaaaa", "iris-1-bbbbb", "wine-1-aaaaa"):
            await backend.start(needing(id))
        await observed(backend, "iris-1-aaaaa", Phase.READY)
        await observed(backend, "iris-1-bbbbb", Phase.READY)
        assert (await waits(backend, "wine-1-aaaaa")).startswith("waiting for capacity: needs ")
        reported = backend.capacity()
        assert reported
        assert (reported.total.cpu, round(reported.held.cpu, 6), reported.waiting.cpu) == (0.5, 0.4, 0.2)
        assert (reported.replicas, reported.replicas_waiting) == (2, 1)
        await backend.stop("iris-1-aaaaa", grace=GRACE)
        ready = (await observed(backend, "wine-1-aaaaa", Phase.READY)).status
        assert ready.reason is None
        assert "iris-1-aaaaa" not in all_of(backend)


async def test_small_needs_do_not_overtake_large_ones(world: World) -> None:
    backend = world.backend(cores=0.5)
    async with running(backend):
        await backend.start(needing("iris-1-aaaaa"))
        await observed(backend, "iris-1-aaaaa", Phase.READY)
        await backend.start(needing("large-1-aaaaa", cpu=0.4))
        await waits(backend, "large-1-aaaaa")
        await backend.start(needing("small-1-aaaaa"))
        await waits(backend, "small-1-aaaaa")
        await backend.stop("iris-1-aaaaa", grace=GRACE)
        await observed(backend, "large-1-aaaaa", Phase.READY)
        await waits(backend, "small-1-aaaaa")
        await backend.stop("large-1-aaaaa", grace=GRACE)
        await observed(backend, "small-1-aaaaa", Phase.READY)


async def test_a_replica_that_leaves_the_queue_delays_no_other(world: World) -> None:
    backend = world.backend(cores=0.5)
    async with running(backend):
        await backend.start(needing("iris-1-aaaaa"))
        await observed(backend, "iris-1-aaaaa", Phase.READY)
        await backend.start(needing("large-1-aaaaa", cpu=0.4))
        await waits(backend, "large-1-aaaaa")
        await backend.start(needing("small-1-aaaaa"))
        await waits(backend, "small-1-aaaaa")
        await backend.stop("large-1-aaaaa", grace=GRACE)
        await observed(backend, "small-1-aaaaa", Phase.READY)


async def test_a_replica_leaves_its_share_to_its_successor(world: World) -> None:
    backend = world.backend(cores=0.3)
    async with running(backend):
        await backend.start(needing("iris-1-aaaaa"))
        await observed(backend, "iris-1-aaaaa", Phase.READY)
        await backend.start(needing("wine-1-aaaaa"))
        await waits(backend, "wine-1-aaaaa")
        await backend.start(needing("iris-2-aaaaa", generation=2))
        await waits(backend, "iris-2-aaaaa")
        await backend.stop("iris-1-aaaaa", grace=GRACE)
        await observed(backend, "iris-2-aaaaa", Phase.READY)
        await waits(backend, "wine-1-aaaaa")


async def test_what_can_never_fit_fails_at_once(world: World) -> None:
    backend = world.backend(cores=0.5)
    async with running(backend):
        await backend.start(needing("large-1-aaaaa", cpu=4))
        failed = (await observed(backend, "large-1-aaaaa", Phase.FAILED)).status
        assert failed.reason is Reason.UNSCHEDULABLE
        assert failed.message.startswith("compute.cpu is 4, and this machine has ")
        await backend.start(needing(ID))
        await observed(backend, ID, Phase.READY)


async def test_replicas_that_were_found_hold_what_they_held(world: World) -> None:
    first = world.backend(cores=0.5)
    async with running(first):
        await first.start(needing("iris-1-aaaaa"))
        await first.start(needing("iris-1-bbbbb"))
        await observed(first, "iris-1-aaaaa", Phase.READY)
        await observed(first, "iris-1-bbbbb", Phase.READY)
        await first.start(needing("wine-1-aaaaa"))
        await waits(first, "wine-1-aaaaa")
    second = world.backend(cores=0.3)
    async with running(second):
        await waits(second, "wine-1-aaaaa")
        assert all_of(second)["iris-1-bbbbb"].status.phase is Phase.READY
        reported = second.capacity()
        assert reported
        assert round(reported.held.cpu, 6) == 0.4
        await second.stop("iris-1-aaaaa", grace=GRACE)
        await gone(second, "iris-1-aaaaa")
        await waits(second, "wine-1-aaaaa")
        await second.stop("iris-1-bbbbb", grace=GRACE)
        await observed(second, "wine-1-aaaaa", Phase.READY)


async def test_the_capacity_for_an_api_is_its_own_and_what_no_other_wants(world: World) -> None:
    backend = world.backend(cores=1)
    iris, wine = needing("iris-1-aaaaa"), needing("wine-1-aaaaa", cpu=0.3)

    def capacity_for(order: ReplicaOrder) -> int | None:
        return backend.capacity_for(order.api, order.workload.compute)

    async with running(backend):
        assert (capacity_for(iris), capacity_for(wine)) == (5, 3)
        for id in ("iris-1-aaaaa", "iris-1-bbbbb"):
            await backend.start(needing(id))
            await observed(backend, id, Phase.READY)
        assert (capacity_for(iris), capacity_for(wine)) == (5, 2)
        await backend.start(needing("wine-1-aaaaa", cpu=0.7))
        await waits(backend, "wine-1-aaaaa")
        assert (capacity_for(iris), capacity_for(wine)) == (2, 2)
        assert capacity_for(needing("free-1-aaaaa", cpu=0)) is None


async def test_what_one_more_replica_of_an_api_lacks(world: World) -> None:
    backend = world.backend(cores=1)
    first, other = needing("iris-1-aaaaa", cpu=0.7), needing("wine-1-aaaaa", cpu=0.5)

    def shortage_for(order: ReplicaOrder) -> str:
        return backend.shortage_for(order.api, order.workload.compute)

    async with running(backend):
        assert shortage_for(other) == ""
        await backend.start(first)
        await observed(backend, first.id, Phase.READY)
        assert shortage_for(other).startswith("there is no capacity: needs ")
        assert "of 1 free" in shortage_for(other)
        assert "; delete or scale down other APIs" in shortage_for(other)
        assert shortage_for(needing("tiny-1-aaaaa", cpu=0.2)) == ""
        assert shortage_for(needing("free-1-aaaaa", cpu=0)) == ""


async def test_logs_of_all_replicas_are_merged_in_time_order(world: World) -> None:
    backend = world.backend()
    ids = [ID, "iris-1-bbbbb"]
    async with running(backend):
        for id in ids:
            await backend.start(order(id))
        for id in ids:
            await observed(backend, id, Phase.READY)
        for number in range(4):
            await world.write_line(backend, ids[number % 2], f"/{number}")
        reported = await _reported(backend, LogQuery(api="iris"))
        assert reported == ["0", "1", "2", "3"]
        assert await _reported(backend, LogQuery(api="iris", replica=ids[1])) == ["1", "3"]
        assert await _reported(backend, LogQuery(api="iris", tail=1)) == ["3"]
        assert await _reported(backend, LogQuery(api="wine")) == []


async def test_logs_of_a_replica_that_is_gone_are_kept_until_the_api_is_removed(world: World) -> None:
    backend = world.backend()
    async with running(backend):
        await backend.start(order(ID))
        await observed(backend, ID, Phase.READY)
        await world.write_line(backend, ID, "/last")
        await backend.stop(ID, grace=GRACE)
        await gone(backend, ID)
        assert await _reported(backend, LogQuery(api="iris", previous=True)) == ["last"]
        await backend.remove("iris")
        await backend.remove("iris")
        assert await _reported(backend, LogQuery(api="iris")) == []


async def test_following_sees_what_comes_and_replicas_that_come(world: World) -> None:
    backend = world.backend()
    other = "iris-2-bbbbb"
    async with running(backend):
        await backend.start(order(ID))
        await observed(backend, ID, Phase.READY)
        await world.write_line(backend, ID, "/before")
        heard: list[str] = []
        arrived = asyncio.Event()

        async def follow() -> None:
            async for line in backend.logs(LogQuery(api="iris", follow=True)):
                if line.stream == "stdout":
                    heard.append(line.message.strip("/"))
                    arrived.set()

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(follow())
            await _heard(heard, arrived, 1)
            await world.write_line(backend, ID, "/after")
            await _heard(heard, arrived, 2)
            await backend.start(order(other, generation=2))
            await until(backend, lambda: all_of(backend)[other].status.phase is Phase.READY)
            await world.write_line(backend, other, "/new")
            await _heard(heard, arrived, 3)
            following.cancel()
    assert heard == ["before", "after", "new"]


async def _reported(backend: Backend, query: LogQuery) -> list[str]:
    """The replicas' own output, in the order of the log."""
    lines = [line async for line in backend.logs(query)]
    return [line.message.strip("/") for line in lines if line.stream == "stdout"]


async def _heard(heard: list[str], arrived: asyncio.Event, count: int) -> None:
    while len(heard) < count:
        await arrived.wait()
        arrived.clear()
