"""Paths of objects, and the facts in a manifest."""

from __future__ import annotations

import pytest

from gyrus.kubernetes.resources import DEPLOYMENTS, NODES, PODS, KubernetesObject, Manifest, resource_of


def test_paths() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("a", "b") == "/api/v1/namespaces/a/pods/b"
    assert PODS.path("a", "b", "status") == "/api/v1/namespaces/a/pods/b/status"
    assert DEPLOYMENTS.path("a") == "/apis/apps/v1/namespaces/a/deployments"
    assert NODES.path("ignored", "n") == "/api/v1/nodes/n"


def test_the_resource_of_a_manifest() -> None:
    assert resource_of({"apiVersion": "apps/v1", "kind": "Deployment"}) is DEPLOYMENTS
    with pytest.raises(ValueError, match="v1 Banana is no kind"):
        resource_of({"apiVersion": "v1", "kind": "Banana"})


RUNS: Manifest = {"state": {"running": {}}}
HAS_ENDED: Manifest = {"state": {"terminated": {"exitCode": 0}}}
RUNS_AGAIN: Manifest = {"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}
REMOVED: Manifest = {
    "state": {"waiting": {"reason": "ContainerCreating"}},
    "lastState": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}},
}
"""As the kubelet of 1.20 shows a container that it has removed."""
NOT_STARTED: Manifest = {"state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}}


@pytest.mark.parametrize(
    ("states", "finished"),
    [
        ([HAS_ENDED], True),
        ([HAS_ENDED, REMOVED], True),
        ([HAS_ENDED, RUNS], False),
        ([RUNS_AGAIN], False),
        ([NOT_STARTED], False),
        ([], False),
    ],
)
def test_a_deleted_pod_has_finished_when_its_containers_have(states: list[Manifest], finished: bool) -> None:
    metadata = {"name": "p"}
    pod: Manifest = {"metadata": metadata, "status": {"containerStatuses": states}}
    assert not KubernetesObject(pod).finished
    metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert KubernetesObject(pod).finished is finished
