"""The leader's label, by which Services find the operator that leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gyrus.contract.cluster import LEADER_LABEL, ROLE_LABEL
from gyrus.kubernetes.errors import ObjectNotFound
from gyrus.kubernetes.resources import Manifest, ResourceKind
from gyrus.operator.standby import mark_leader
from support.kubernetes_cluster import MemoryCluster


class Pods(MemoryCluster):
    """Pods whose labels can be changed. One of them is gone when it is to be changed."""

    gone = ""

    async def patch(
        self, resource: ResourceKind, name: str, change: Mapping[str, Any], namespace: str | None = None
    ) -> Manifest:
        if name == self.gone:
            raise ObjectNotFound(f"pods {name!r} not found")
        pod = self.objects[resource.kind, namespace, name]
        for label, value in change["metadata"]["labels"].items():
            pod["metadata"]["labels"].pop(label, None)
            pod["metadata"]["labels"].update({label: value} if value is not None else {})
        return pod

    def add(self, name: str, **labels: str) -> None:
        metadata = {"name": name, "namespace": "ml", "labels": {ROLE_LABEL: "operator", **labels}}
        self.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})

    def leaders(self) -> list[str]:
        return [
            name for (_, _, name), pod in self.objects.items() if LEADER_LABEL in pod["metadata"]["labels"]
        ]


async def test_one_pod_has_the_label() -> None:
    pods = Pods()
    for name in ("a", "b", "c"):
        pods.add(name)
    for leader in ("a", "b", "b"):
        await mark_leader(pods, "ml", leader)
        assert pods.leaders() == [leader]


async def test_a_pod_that_is_gone_meanwhile_does_not_matter() -> None:
    pods = Pods()
    pods.add("a", **{LEADER_LABEL: "true"})
    pods.add("b")
    pods.gone = "a"
    await mark_leader(pods, "ml", "b")
    assert "b" in pods.leaders()
