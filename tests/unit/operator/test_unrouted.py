"""A pod may end when control has seen its end and every gateway has left it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.operator.unrouted import UnroutedReplicas, is_unrouted
from gyrus.state.board import Board, Endpoints, Replica

POD = "iris-1-aaaaa"
HERE = "10.0.0.1:8000"


def board_of(phase: Phase | None, *reachable: str) -> Board:
    board = Board()
    if phase is not None:
        status = ReplicaStatus(id=POD, api="iris", revision=1, phase=phase)
        board.replicas["iris"] = (Replica(status=status, generation=1),)
    if reachable:
        board.reachable["iris"] = {"iris/1": frozenset(reachable)}
    return board


@pytest.mark.parametrize(
    ("board", "unrouted"),
    [
        (board_of(Phase.READY, HERE), False),
        (board_of(Phase.READY), False),
        (board_of(Phase.STARTING), False),
        (board_of(Phase.DRAINING, HERE), False),
        (board_of(Phase.DRAINING, "10.0.0.2:8000", "10.0.0.1:8001"), False),
        (board_of(Phase.DRAINING, "10.0.0.2:8000"), True),
        (board_of(Phase.GONE), True),
        (board_of(None, HERE), False),
        (board_of(None), True),
    ],
)
def test_facts(board: Board, unrouted: bool) -> None:
    assert is_unrouted(board, POD, "iris", frozenset({HERE, "10.0.0.1:8001"})) is unrouted


@dataclass
class Backend:
    known: dict[str, tuple[str, Endpoints]] = field(
        default_factory=lambda: {POD: ("iris", frozenset({HERE}))}
    )

    def endpoints_of(self, replica: str) -> tuple[str, Endpoints] | None:
        return self.known.get(replica)


async def test_the_wait_follows_control_and_gateways() -> None:
    board, complete = board_of(Phase.READY, HERE), asyncio.Event()
    replicas = UnroutedReplicas(board, Backend(), complete.is_set)
    waiting = asyncio.create_task(replicas.wait(POD), name="wait")

    async def still_waits() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()

    await still_waits()
    board.replicas = board_of(Phase.DRAINING).replicas
    board.replica_signals.notify("iris")
    await still_waits()
    board.reachable["iris"] = {"iris/1": frozenset({"10.0.0.9:18001"})}
    board.acknowledged_signals.notify("iris")
    await still_waits()
    complete.set()
    board.gateway_signals.notify("running")
    await asyncio.wait_for(waiting, 5)


async def test_a_pod_that_is_gone_need_not_wait() -> None:
    await asyncio.wait_for(UnroutedReplicas(Board(), Backend({}), lambda: True).wait(POD), 5)
