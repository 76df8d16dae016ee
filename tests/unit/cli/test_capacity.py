"""What the machine has, in words and in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from gyrus.cli.capacity import machine_summary, node_summaries
from gyrus.client.client import Client
from gyrus.client.streams import Gone
from gyrus.contract.operator import AmountView, ApiView, CapacityView, Deployed, NodeClassView, Status
from support.command_line import Gyrus
from support.operator_thread import Operator

GI = 2**30
EMPTY = CapacityView(
    total=AmountView(cpu=2.0, mem=23 * GI + GI // 2, gpu=0),
    held=AmountView(cpu=0.0, mem=0, gpu=0),
    waiting=AmountView(cpu=0.0, mem=0, gpu=0),
    replicas=0,
    replicas_waiting=0,
    overcommit=False,
)


def test_an_empty_machine() -> None:
    assert machine_summary(EMPTY) == "2 CPU, 23.5Gi memory"


def test_a_full_one() -> None:
    full = dataclasses.replace(
        EMPTY,
        total=AmountView(cpu=2.0, mem=4 * GI, gpu=1),
        held=AmountView(cpu=1.8, mem=GI // 2, gpu=1),
        waiting=AmountView(cpu=0.5, mem=0, gpu=2),
        replicas=9,
        replicas_waiting=1,
    )
    assert machine_summary(full) == (
        "2 CPU, 4Gi memory, 1 GPU; 9 replicas hold 1.8 CPU, 512Mi memory, 1 GPU; 1 waits for 500m CPU, 2 GPUs"
    )


def test_an_overcommitted_one() -> None:
    crowded = dataclasses.replace(EMPTY, held=AmountView(cpu=0.0, mem=0, gpu=0), replicas=1, overcommit=True)
    assert machine_summary(crowded) == (
        "2 CPU, 23.5Gi memory; 1 replica holds nothing; overcommitted: CPU and memory are not counted"
    )


PLAIN = NodeClassView(
    group="",
    instance_type="",
    capacity_type="",
    taints=(),
    nodes=1,
    closed=0,
    total=AmountView(cpu=2.0, mem=4 * GI, gpu=0),
    held=AmountView(cpu=0.0, mem=0, gpu=0),
    replicas=0,
)


def test_classes_of_nodes() -> None:
    gpu = NodeClassView(
        group="gpu",
        instance_type="g5.xlarge",
        capacity_type="spot",
        taints=("nvidia.com/gpu:NoSchedule",),
        nodes=3,
        closed=1,
        total=AmountView(cpu=8.0, mem=30 * GI, gpu=2),
        held=AmountView(cpu=0.0, mem=0, gpu=1),
        replicas=1,
    )
    cluster = dataclasses.replace(
        EMPTY, nodes=(PLAIN, gpu, dataclasses.replace(gpu, group="", taints=(), closed=0, replicas=0))
    )
    assert list(node_summaries(cluster)) == [
        "1 node, 2 CPU, 4Gi memory",
        "gpu (g5.xlarge, spot, taint nvidia.com/gpu:NoSchedule): 3 nodes (1 without new replicas), "
        "8 CPU, 30Gi memory, 2 GPUs; 1 replica holds 1 GPU",
        "(g5.xlarge, spot): 3 nodes, 8 CPU, 30Gi memory, 2 GPUs",
    ]


def test_one_machine_has_no_classes() -> None:
    assert list(node_summaries(EMPTY)) == []


def deploy(name: str, replicas: int) -> Deployed:
    process = {"command": ["python", "server.py"]}
    scaling = {"min_replicas": replicas, "max_replicas": replicas}
    spec = {"name": name, "kind": "RealtimeAPI", "process": process, "autoscaling": scaling}
    with Client() as client:
        [deployed] = client.deploy([spec], package=None)
    return deployed


def watched(name: str, what: Callable[[ApiView], bool]) -> None:
    """Returns when the API is like that."""
    with Client() as client:
        seen = client.watch(name)
        assert any(not isinstance(one, Gone) and what(one.api) for one in seen)


def test_a_backend_that_does_not_count_reports_nothing(operator: Operator, gyrus: Gyrus) -> None:
    assert gyrus("version", "-o", "json").json["operator"]["capacity"] is None
    assert "machine" not in gyrus("version").out


def test_waiting_replicas_are_shown_by_every_command(operator: Operator, gyrus: Gyrus) -> None:
    operator.backend.cores = 0.5
    iris = deploy("iris", 2)
    with Client() as client:
        client.wait("iris", iris.generation, 60)
    deploy("wine", 1)
    reported = "waiting for capacity: needs 0.2 CPU, 0.1 of 0.5 free"
    watched("wine", lambda api: api.message == reported)
    assert f"wine: {reported}" in gyrus("get").out
    assert reported in gyrus("describe", "wine").out
    capacity = gyrus("version", "-o", "json").json["operator"]["capacity"]
    assert capacity["total"] == {"cpu": 0.5, "mem": 0, "gpu": 0}
    assert (capacity["replicas"], capacity["replicas_waiting"]) == (2, 1)
    assert "machine   500m CPU; 2 replicas hold 400m CPU; 1 waits for 200m CPU\n" in gyrus("version").out
    gyrus("delete", "iris", "--yes")
    watched("wine", lambda api: api.status is Status.LIVE)
    assert "WaitingForCapacity" in gyrus("describe", "wine").out
