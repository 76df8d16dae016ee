"""``gyrus cluster`` on a real cluster: install, explain, install again, remove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.configuration import from_kubeconfig
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    PRIORITY_CLASSES,
    name_of,
)
from support.installation import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.cluster("uninstall", "-y")


async def marks_outside_namespaces(namespace: str) -> list[str]:
    """Objects outside namespaces that an installation in this namespace has made."""
    async with ClusterClient(from_kubeconfig()) as client:
        return [
            f"{resource.kind} {name_of(item)}"
            for resource in (NAMESPACES, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, PRIORITY_CLASSES)
            for item in (await client.list(resource)).items
            if name_of(item).startswith(namespace)
        ]


async def test_an_image_that_is_not_there_and_a_removal_without_traces(cluster: Installation) -> None:
    values = cluster.values("localhost/gyrus-missing:1")
    first = cluster.cluster("install", "--values", values, "--timeout", "120")
    assert first.code == 1
    assert "error: gyrus-" in first.err
    assert "the image localhost/gyrus-missing:1 cannot be pulled" in first.err
    assert "name another" in first.err
    assert "with images.gyrus in a values file (--values)" in first.err
    again = cluster.cluster("install", "--values", values, "--no-wait", "-o", "json").json
    changed = [each for each in again["changes"] if each["outcome"] != "unchanged"]
    assert changed == []
    assert len(await marks_outside_namespaces(cluster.namespace)) == 5
    health = cluster.cluster("health")
    assert health.code == 1
    assert "cannot be pulled" in health.err
    removed = cluster.cluster("uninstall", "-y")
    assert removed.code == 0
    assert await marks_outside_namespaces(cluster.namespace) == []
    assert cluster.cluster("info").err.startswith(
        f"error: gyrus is not installed in the namespace {cluster.namespace} of this cluster.\n"
    )


async def test_the_cluster_accepts_every_manifest_of_a_dry_run(cluster: Installation) -> None:
    """The dry run has the default settings, which change the type of the operator's volume."""
    assert cluster.cluster("install", "--values", cluster.values("localhost/a:1"), "--no-wait").code == 0
    async with ClusterClient(from_kubeconfig()) as client:
        rendered = cluster.cluster("install", "--dry-run", "--context", client.context, "-o", "json").json
        refused: list[str] = []
        for manifest in rendered:
            try:
                await client.apply(manifest, dry_run=True)
            except KubernetesError as error:
                refused.append(f"{manifest['kind']} {name_of(manifest)}: {error}")
    assert refused == []


async def test_operator_and_gateways_become_ready_and_answer(cluster: Installation) -> None:
    values = cluster.values()
    installed = cluster.cluster("install", "--values", values, "--timeout", "240", "-o", "json")
    assert installed.code == 0, installed.err
    assert installed.json["healthy"]
    assert cluster.cluster("health").code == 0
    environment = installed.json["environment"]
    assert cluster.run("-e", environment, "get", "-o", "json").json == []
    again = cluster.cluster("install", "--values", values, "-o", "json")
    assert [each for each in again.json["changes"] if each["outcome"] != "unchanged"] == []
