"""The shutdown of the platform: no request reaches a replica, and each gets the reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gyrus.control.shutdown import withdraw_routes
from gyrus.state.board import Board, Pool, Route, WeightedPool
from support.gateway import acknowledge

ACTIVATOR = "unix:/run/activator.sock"
REPLICA = frozenset({"unix:/run/r1.0.sock"})


def route(api: str, pool: Pool) -> Route:
    return Route(api=api, path=f"/{api}", shares=(WeightedPool(pool=pool),), timeout=1.0)


async def test_the_activator_stands_in_for_all_replicas() -> None:
    pool = Pool(api="iris", generation=1, revision=1, replicas=REPLICA)
    grpc = replace(pool, api="grpc", protocol="http2")
    board = Board(routes={"iris": route("iris", pool), "grpc": route("grpc", grpc)})
    async with asyncio.TaskGroup() as group:
        gateway = group.create_task(acknowledge(board), name="gateway")
        await asyncio.sleep(0)
        board.route_signals.notify("iris", "grpc")
        await asyncio.sleep(0)
        await withdraw_routes(board, ACTIVATOR, 10.0)
        gateway.cancel()
    assert board.reachable_of("iris") == {ACTIVATOR}
    assert board.reachable_of("grpc") == frozenset()  # the activator does not speak HTTP/2
