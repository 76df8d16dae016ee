"""A replica that waits for capacity goes on when there is some, and reports why it waits."""

from __future__ import annotations

import asyncio

from gyrus.backends.local.capacity import Allocations, Claim, Machine, Resource, Share
from gyrus.backends.local.placement import PlacementQueue


def claim(replica: str, gpus: int, at: float = 0.0) -> Claim:
    needs = {Resource.CPU: 0, Resource.MEMORY: 0, Resource.GPU: gpus}
    return Claim(replica=replica, api=replica, needs=needs, at=at)


def placement(*gpus: str) -> PlacementQueue:
    return PlacementQueue(Allocations(machine=Machine(cpu=0, mem=0, gpus=gpus)))


def ignore(message: str | None) -> None:
    pass


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_holder_takes_its_share_over_and_over() -> None:
    made = placement("0", "1", "2")
    assert await made.take(claim("a", 1), ignore) == ("0",)
    assert await made.take(claim("b", 2), ignore) == ("1", "2")
    assert await made.take(claim("b", 2), ignore) == ("1", "2")
    assert await made.take(claim("c", 0), ignore) == ()


async def test_waiting_claims_are_served_in_order_and_notified_of_every_change() -> None:
    made = placement("0", "1")
    made.turn_to(made.allocations.keep(Share(claim=claim("found", 1), gpus=("1",))))
    many_reports: list[str | None] = []
    few_reports: list[str | None] = []
    many = asyncio.create_task(made.take(claim("many", 2, at=1), many_reports.append))
    await settle()
    few = asyncio.create_task(made.take(claim("few", 1, at=2), few_reports.append))
    await settle()
    assert not few.done()
    assert many_reports[0] == "waiting for capacity: needs 2 GPUs, 1 of 2 free (1 replica of found holds 1)"
    assert few_reports == [
        "waiting for capacity: needs 1 GPU, 1 of 2 free, kept for many ahead in the queue "
        "(1 replica of found holds 1)"
    ]
    made.release("found")
    assert many_reports[-1] is None  # at once
    assert await many == ("0", "1")
    assert few_reports[-1] == "waiting for capacity: needs 1 GPU, 0 of 2 free (1 replica of many holds 2)"
    made.release("many")
    assert await few == ("0",)


async def test_a_replica_that_leaves_holds_nothing() -> None:
    made = placement("0")
    await made.take(claim("a", 1), ignore)
    leaving = asyncio.create_task(made.take(claim("b", 1, at=1), ignore))
    staying = asyncio.create_task(made.take(claim("c", 1, at=2), ignore))
    await settle()
    made.release("a")
    leaving.cancel()
    await asyncio.wait((leaving,))
    async with asyncio.timeout(5):
        assert await staying == ("0",)
    made.release("c")
    made.release("c")
    assert not made.allocations.shares
    assert not made.allocations.queue
