"""The replicas that the planner of nodes must find places for."""

from __future__ import annotations

from datetime import UTC, datetime

from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import RequiredReplicas
from gyrus.operator.required_replicas import ReplicaDemand
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board
from gyrus.state.memory import MemoryStore

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def spec(name: str, **changes: object) -> RealtimeSpec:
    process = {"command": ["python", "server.py"]}
    return RealtimeSpec.model_validate({"name": name, "process": process, **changes})


async def test_each_api_with_replicas_has_its_number_requests_and_groups() -> None:
    store = MemoryStore()
    iris = spec("iris", compute={"cpu": "1500m", "mem": "1Gi", "gpu": 1}, node_groups=["gpu"])
    ((change),) = await store.deploy([iris], None, NOW)
    await store.scale(change.api, 3)
    ((idle),) = await store.deploy([spec("idle")], None, NOW)
    await store.scale(idle.api, 0)
    (found,) = await ReplicaDemand(store, Board()).required()
    assert found == RequiredReplicas(
        api="iris",
        replicas=3,
        requests=NodeResources(cpu=1500, memory=2**30, gpu=1),
        startup=5.0,
        groups=("gpu",),
    )
