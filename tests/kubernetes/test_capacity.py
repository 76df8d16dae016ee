"""The capacity of a real cluster, and updates for which it has none."""

from __future__ import annotations

import pytest

from gyrus.backends.kubernetes import capacity
from gyrus.backends.kubernetes.backend import KubernetesBackend
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import Phase, Reason
from gyrus.kubernetes.amounts import CPU, allocatable
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import NODES
from support import backends
from support.backends import all_of, observed, order, running, until
from support.cluster import PATIENCE
from support.cluster_world import ClusterWorld

OLD, NEW = "iris-1-aaaaa", "iris-2-aaaaa"


@pytest.fixture(autouse=True)
def _times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "PATIENCE", PATIENCE)
    monkeypatch.setattr(capacity, "NODES_COME_WITHIN", 0.0)
    monkeypatch.setattr(capacity, "RESCHEDULED_WITHIN", 0.0)


def needing(id: str, cpu: str, *, generation: int = 1) -> ReplicaOrder:
    return order(id, generation=generation, compute={"cpu": cpu})


async def waits(backend: KubernetesBackend, id: str) -> None:
    await until(backend, lambda: all_of(backend)[id].status.reason is Reason.CAPACITY)


async def test_what_nodes_offer_replicas_hold_and_others_wait_for(
    client: ClusterClient, namespace: str
) -> None:
    offered = sum(allocatable(node)[CPU] for node in (await client.list(NODES)).items)
    backend = ClusterWorld(client, namespace).backend()
    async with running(backend):
        await backend.start(needing(OLD, "50m"))
        await observed(backend, OLD, Phase.READY)
        await backend.start(needing("wine-1-aaaaa", "1000"))
        await waits(backend, "wine-1-aaaaa")
        seen = backend.capacity()
        assert seen
        assert seen.total.cpu <= float(offered)
        assert (seen.replicas, seen.held.cpu) == (1, 0.05)
        assert (seen.replicas_waiting, seen.waiting.cpu) == (1, 1000.0)
        assert sum(each.replicas for each in seen.nodes) == 1


async def test_a_replica_that_fits_nowhere_ends_no_other(client: ClusterClient, namespace: str) -> None:
    backend = ClusterWorld(client, namespace).backend()
    async with running(backend):
        await backend.start(needing(OLD, "50m"))
        await observed(backend, OLD, Phase.READY)
        assert backend.preemptable("iris") is None
        await backend.start(needing(NEW, "1000", generation=2))
        await waits(backend, NEW)
        assert backend.preemptable("iris") == []


async def test_a_replica_ends_for_one_that_a_quota_holds_back(client: ClusterClient, namespace: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": namespace},
        "spec": {"hard": {"requests.cpu": "120m"}},
    }
    await client.create(quota)
    backend = ClusterWorld(client, namespace).backend()
    async with running(backend):
        await backend.start(needing(OLD, "80m"))
        await observed(backend, OLD, Phase.READY)
        await backend.start(needing(NEW, "80m", generation=2))
        await waits(backend, NEW)
        assert backend.preemptable("iris") == [OLD]
        await backend.stop(NEW, grace=0)
        larger = "iris-3-aaaaa"
        await backend.start(needing(larger, "100m", generation=3))
        await waits(backend, larger)
        assert backend.preemptable("iris") == []
