"""An installation into a cluster in memory, and its removal."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from gyrus.cluster.changes import ObjectChange
from gyrus.cluster.errors import (
    ClusterTooOld,
    FieldConflict,
    MissingDefinition,
    MissingRights,
    MissingStore,
    NotInstalled,
)
from gyrus.cluster.install import Installer
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.overview import overview
from gyrus.cluster.settings import ClusterSettings
from gyrus.cluster.uninstall import IDLE_GRACE, Uninstaller
from gyrus.contract import cluster as names
from gyrus.kubernetes.reflector import Selection
from gyrus.kubernetes.resources import Manifest
from support.kubernetes_cluster import MemoryCluster

NOW = datetime(2026, 11, 28, tzinfo=UTC)

IRIS = {"name": "iris", "namespace": "ml"}
REPLICA = {names.ROLE_LABEL: "replica"}


def wanted(namespace: str = "ml", **settings: Any) -> Installation:
    return Installation(namespace, ClusterSettings.model_validate(settings))


async def installed(
    cluster: MemoryCluster, known: Installation, *, force: bool = False
) -> list[ObjectChange]:
    changes: list[ObjectChange] = []
    await Installer(cluster, changes.append, force).install(known, NOW)
    return changes


async def removed(cluster: MemoryCluster, known: Installation) -> list[ObjectChange]:
    changes: list[ObjectChange] = []

    async def until_gone(selection: Selection) -> None:
        """Check that objects of a kind are awaited only after their deletion."""
        assert selection.resource.plural in ("pods", "namespaces")

    await Uninstaller(cluster, changes.append, until_gone).uninstall(known)
    return changes


def outcomes(changes: list[ObjectChange]) -> Counter[str]:
    return Counter(change.outcome for change in changes)


async def test_a_second_installation_changes_nothing() -> None:
    cluster = MemoryCluster()
    first = await installed(cluster, wanted())
    assert outcomes(first) == {"created": len(cluster.objects)}
    assert str(first[0]) == "created   Namespace ml"
    assert outcomes(await installed(cluster, wanted())) == {"unchanged": len(first)}


async def test_a_changed_setting_changes_its_object_only() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted())
    changes = await installed(cluster, wanted(gateway={"replicas": 3}))
    assert [str(change) for change in changes if change.outcome != "unchanged"] == [
        "changed   Deployment gyrus-gateway"
    ]


async def test_what_the_settings_turn_off_is_deleted() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted(operator={"api": {"service": "NodePort"}}))
    foreign = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "own", "namespace": "ml"}}
    cluster.put(foreign)
    changes = await installed(cluster, wanted(network_policies=False))
    deleted = {f"{change.kind} {change.name}" for change in changes if change.outcome == "deleted"}
    assert deleted == {
        "Service gyrus-operator-api", "NetworkPolicy gyrus-operator", "NetworkPolicy gyrus-gateway",
        "NetworkPolicy gyrus-replica", "NetworkPolicy gyrus-builder",
    }  # fmt: skip


async def test_a_namespace_that_was_there_stays_as_it_is() -> None:
    cluster = MemoryCluster()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml", "labels": {"a": "b"}}}
    stored = cluster.put(namespace)
    changes = await installed(cluster, wanted())
    assert str(changes[0]) == "kept      Namespace ml (it was there before)"
    await removed(cluster, wanted())
    assert list(cluster.objects.values()) == [stored]


async def test_the_nodes_cache_ends_with_the_installation_or_when_it_is_turned_off() -> None:
    cluster = MemoryCluster()
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}})
    cached = wanted(node_cache={"size": "1Gi"}, pod_security="privileged")
    daemons = ("DaemonSet", "ml", names.NODE_CACHE)
    await installed(cluster, cached)
    assert daemons in cluster.objects
    await installed(cluster, wanted())
    assert daemons not in cluster.objects
    await installed(cluster, cached)
    await removed(cluster, cached)
    assert daemons not in cluster.objects


async def test_the_version_of_disruption_budgets_is_the_clusters() -> None:
    cluster = MemoryCluster(version=(1, 20), budgets="v1beta1")
    await installed(cluster, wanted())
    budget = cluster.objects["PodDisruptionBudget", "ml", names.GATEWAY]
    assert budget["apiVersion"] == "policy/v1beta1"


async def test_an_old_cluster_is_refused() -> None:
    cluster = MemoryCluster(version=(1, 19))
    with pytest.raises(ClusterTooOld) as fault:
        await installed(cluster, wanted())
    assert fault.value.message == "The cluster runs Kubernetes 1.19, and gyrus needs 1.20 or newer."
    assert cluster.objects == {}


async def test_missing_rights_are_listed_before_anything_changes() -> None:
    forbidden = frozenset({("create", "deployments.apps"), ("patch", "namespaces")})
    cluster = MemoryCluster(forbidden=forbidden)
    with pytest.raises(MissingRights) as fault:
        await installed(cluster, wanted())
    assert fault.value.details == (
        "patch namespaces in the cluster",
        "create deployments.apps in the namespace ml",
    )
    assert fault.value.message.startswith("Your credentials lack 2 of the ")
    assert cluster.objects == {}


async def test_fields_of_another_manager_are_taken_over_only_by_force() -> None:
    cluster = MemoryCluster(conflicts=frozenset({names.GATEWAY}))
    with pytest.raises(FieldConflict) as fault:
        await installed(cluster, wanted())
    assert fault.value.message.startswith("Service gyrus-gateway has fields that another manager owns: ")
    assert "--force" in fault.value.remedy
    assert outcomes(await installed(cluster, wanted(), force=True))["created"] > 0


async def test_uninstall_leaves_the_cluster_as_before() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted())
    changes = await removed(cluster, wanted())
    assert cluster.objects == {}
    assert outcomes(changes) == {"deleted": len(changes)}


async def test_uninstall_gives_replicas_little_time_since_they_have_no_requests() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted())
    cluster.put({"apiVersion": f"{names.GROUP}/v1", "kind": "API", "metadata": IRIS})
    cluster.put({"kind": "Pod", "apiVersion": "v1", "metadata": IRIS | {"labels": REPLICA}})
    await removed(cluster, wanted())
    pod, api = ("Pod", "ml", "iris"), ("API", "ml", "iris")
    assert cluster.graces[pod] == IDLE_GRACE
    assert cluster.deleted.index(pod) < cluster.deleted.index(api), "else the cluster would end it, slowly"


async def test_uninstall_removes_the_records_of_pods_that_have_ended() -> None:
    cluster, own = MemoryCluster(), wanted()
    cluster.put({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "ml"}})
    await installed(cluster, own)
    ended = {"containerStatuses": [{"name": "replica", "state": {"terminated": {"exitCode": 0}}}]}
    metadata = IRIS | {"labels": REPLICA, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    record: Manifest = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "status": ended}
    cluster.put(record)

    async def until_gone(selection: Selection) -> None:
        if "replica" in selection.labels:
            cluster.put(record)  # its node keeps it

    await Uninstaller(cluster, lambda change: None, until_gone).uninstall(own)
    assert cluster.graces["Pod", "ml", "iris"] == 0
    assert not any(kind == "Pod" for kind, _, _ in cluster.objects)


async def test_the_definition_stays_while_another_installation_uses_it() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted("first"))
    await installed(cluster, wanted("second"))
    changes = await removed(cluster, wanted("first"))
    assert str(changes[-1]) == (
        "kept      CustomResourceDefinition apis.gyrus.dev (in use by gyrus in second)"
    )
    await removed(cluster, wanted("second"))
    assert cluster.objects == {}


async def test_the_definition_stays_while_there_are_apis() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted())
    metadata = {"name": "iris", "namespace": "team"}
    cluster.put({"apiVersion": f"{names.GROUP}/v1", "kind": "API", "metadata": metadata})
    changes = await removed(cluster, wanted())
    assert str(changes[-1]).endswith("apis.gyrus.dev (there are APIs in team)")


async def test_an_installation_that_is_not_there() -> None:
    cluster = MemoryCluster()
    with pytest.raises(NotInstalled) as fault:
        await removed(cluster, wanted())
    assert fault.value.message == "gyrus is not installed in the namespace ml of this cluster."
    with pytest.raises(NotInstalled):
        await overview(cluster, "ml")


async def test_the_overview_has_what_a_client_needs() -> None:
    cluster = MemoryCluster()
    await installed(cluster, wanted(gateway={"service": "NodePort"}))
    found = await overview(cluster, "ml")
    assert found.credentials is not None
    assert found.credentials.authority.startswith("-----BEGIN CERTIFICATE-----")
    assert [str(part) for part in found.parts] == [
        "gyrus-operator: 0 of 1 ready: starting",
        "gyrus-gateway: 0 of 2 ready: starting",
    ]
    assert found.gateway.missing == "no node has an address"
    assert not found.healthy(NOW)
    assert found.warnings(NOW) == []


async def test_the_secret_of_the_store_must_be_there() -> None:
    cluster = MemoryCluster()
    known = wanted(operator={"store": {"secret": "gyrus-store"}})
    with pytest.raises(MissingStore) as missing:
        await installed(cluster, known)
    create = (
        "kubectl create secret generic gyrus-store --namespace ml "
        "--from-literal=url=postgresql://USER:PASSWORD@HOST/DATABASE"
    )
    assert missing.value.message == (
        "The Secret gyrus-store of operator.store does not exist in the namespace ml."
    )
    assert missing.value.remedy == f"Run: kubectl create namespace ml, unless it exists, and then: {create}"
    assert not cluster.objects
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gyrus-store", "namespace": "ml"}}
    cluster.put(secret | {"data": {"uri": "eA=="}})
    with pytest.raises(MissingStore) as missing:
        await installed(cluster, known)
    assert missing.value.message == (
        "The Secret gyrus-store of operator.store lacks the key url in the namespace ml."
    )
    assert missing.value.remedy == f"Run: {create}"
    cluster.put(secret | {"data": {"url": "eA=="}})
    await installed(cluster, known)


async def test_without_its_store_the_second_operator_has_no_budget() -> None:
    cluster = MemoryCluster()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gyrus-store", "namespace": "ml"}}
    cluster.put(secret | {"data": {"url": "eA=="}})
    await installed(cluster, wanted(operator={"store": {"secret": "gyrus-store"}}))
    changes = await installed(cluster, wanted(operator={"storage": "none"}))
    deleted = [f"{change.kind} {change.name}" for change in changes if change.outcome == "deleted"]
    assert deleted == ["PodDisruptionBudget gyrus-operator"]


async def test_monitors_need_their_definition() -> None:
    cluster = MemoryCluster()
    with pytest.raises(MissingDefinition) as fault:
        await installed(cluster, wanted(pod_monitor=True))
    assert fault.value.message == (
        "The cluster does not know podmonitors.monitoring.coreos.com, which pod_monitor: true asks for."
    )
    assert fault.value.remedy == (
        "Install the Prometheus Operator first, or remove pod_monitor from the values file: "
        "the pods have the annotations prometheus.io/scrape, too."
    )
    assert cluster.objects == {}


async def test_monitors_come_and_go_with_their_setting() -> None:
    cluster = MemoryCluster(monitors=True)
    await installed(cluster, wanted(pod_monitor=True))
    monitors = {name for kind, _, name in cluster.objects if kind == "PodMonitor"}
    assert monitors == {"gyrus-operator", "gyrus-gateway", "gyrus-replica"}
    await installed(cluster, wanted())
    assert [name for kind, _, name in cluster.objects if kind == "PodMonitor"] == []
