from __future__ import annotations

import pytest

from gyrus.kubernetes.resources import DEPLOYMENTS, NODES, PODS, resource_of


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
