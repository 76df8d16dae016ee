"""The jobs of the Helm chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gyrus.cluster import chart_job
from gyrus.cluster.certificates import VALID
from gyrus.cluster.changes import ObjectChange
from gyrus.cluster.errors import ManagedByHelm
from gyrus.cluster.install import Installer
from gyrus.cluster.manifests.installation import platform, services
from gyrus.cluster.manifests.objects import HELM, MANAGED_BY, Installation
from gyrus.cluster.uninstall import Uninstaller, running_apis
from gyrus.contract import cluster as names
from gyrus.kubernetes.reflector import Selection
from gyrus.kubernetes.resources import DEPLOYMENTS, Manifest, name_of
from support.kubernetes_cluster import MemoryCluster

NOW = datetime(2026, 11, 28, tzinfo=UTC)
KNOWN = Installation("ml")


async def prepared(cluster: MemoryCluster, now: datetime = NOW) -> list[str]:
    changes: list[ObjectChange] = []
    await Installer(cluster, changes.append, force=True).prepare(KNOWN, now)
    return [str(change) for change in changes if change.outcome != "unchanged"]


async def removed(cluster: MemoryCluster, known: Installation = KNOWN) -> list[str]:
    changes: list[ObjectChange] = []

    async def until_gone(selection: Selection) -> None:
        assert selection.resource.plural == "pods"

    await Uninstaller(cluster, changes.append, until_gone).remove_created(known)
    return [str(change) for change in changes]


def by_helm(cluster: MemoryCluster, known: Installation = KNOWN) -> None:
    """Create the objects of the chart."""
    for manifest in (*services(known), *platform(known)):
        metadata = manifest["metadata"]
        labels = {**metadata["labels"], MANAGED_BY: HELM}
        cluster.put({**manifest, "metadata": {**metadata, "labels": labels}})


def kinds(cluster: MemoryCluster) -> set[str]:
    return {f"{kind} {name}" for kind, _, name in cluster.objects}


async def test_definition_and_secrets_come_first() -> None:
    cluster = MemoryCluster()
    assert await prepared(cluster) == [
        "created   CustomResourceDefinition apis.gyrus.dev",
        "created   Secret gyrus-authority",
        "created   Secret gyrus-operator-tls",
        "created   Secret gyrus-gateway-tls",
        "created   Secret gyrus-operator-secrets",
    ]
    assert await prepared(cluster) == []


async def test_certificates_are_replaced_before_they_end() -> None:
    cluster = MemoryCluster()
    await prepared(cluster)
    by_helm(cluster)
    assert await prepared(cluster, NOW + VALID - timedelta(days=30)) == [
        "changed   Secret gyrus-operator-tls",
        "changed   Secret gyrus-gateway-tls",
    ]


async def test_nothing_is_left_after_helm_has_removed_its_objects() -> None:
    cluster = MemoryCluster()
    await prepared(cluster)
    for kind, version, name in (
        ("Lease", "coordination.k8s.io/v1", names.OPERATOR),
        ("API", "gyrus.dev/v1", "iris"),
        ("PersistentVolumeClaim", "v1", names.DATA),
    ):
        cluster.put({"kind": kind, "apiVersion": version, "metadata": {"name": name, "namespace": "ml"}})
    for role in ("replica", "builder"):
        labels = {names.ROLE_LABEL: role}
        pod = {"name": role, "namespace": "ml", "labels": labels}
        cluster.put({"kind": "Pod", "apiVersion": "v1", "metadata": pod})
    other: Manifest = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "other", "namespace": "ml"}}
    cluster.put(other)
    await removed(cluster)
    assert kinds(cluster) == {"Pod other"}


@pytest.mark.parametrize("first", [True, False])
async def test_the_definition_stays_while_another_installation_uses_it(first: bool) -> None:
    """The other one may be by Helm, or by the command."""
    cluster = MemoryCluster()
    await prepared(cluster)
    other = Installation("other")
    if first:
        by_helm(cluster, other)
    else:
        await Installer(cluster, lambda change: None).install(other, NOW)
    assert (await removed(cluster))[-1] == (
        "kept      CustomResourceDefinition apis.gyrus.dev (in use by gyrus in other)"
    )


async def test_the_command_keeps_the_definition_for_an_installation_by_helm() -> None:
    cluster = MemoryCluster()
    by_helm(cluster, Installation("other"))
    changes: list[ObjectChange] = []
    await Installer(cluster, changes.append).install(KNOWN, NOW)

    async def until_gone(selection: Selection) -> None:
        return

    await Uninstaller(cluster, changes.append, until_gone).uninstall(KNOWN)
    assert "kept" in str(changes[-1])
    assert "CustomResourceDefinition apis.gyrus.dev" in kinds(cluster)
    assert all(name_of(each) for each in cluster.objects.values())


async def test_the_command_leaves_an_installation_by_helm_alone() -> None:
    cluster = MemoryCluster()
    by_helm(cluster)
    before = dict(cluster.objects)
    with pytest.raises(ManagedByHelm) as fault:
        await Installer(cluster, lambda change: None, force=True).install(KNOWN, NOW)
    assert fault.value.message == "gyrus in the namespace ml is the release RELEASE of Helm."
    assert (
        fault.value.remedy
        == "Use Helm for it: helm upgrade RELEASE CHART --namespace ml --reset-then-reuse-values"
    )
    operator = await cluster.find(DEPLOYMENTS, names.OPERATOR, "ml")
    assert operator is not None
    operator["metadata"]["annotations"] = {"meta.helm.sh/release-name": "models"}
    with pytest.raises(ManagedByHelm) as fault:
        await running_apis(cluster, KNOWN)
    assert fault.value.remedy == "Use Helm for it: helm uninstall models --namespace ml --wait"
    assert cluster.objects == before


def test_a_wrong_call_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(names.POD_NAMESPACE_VARIABLE, raising=False)
    assert chart_job.main(["install"]) == 2
    assert capsys.readouterr().err == "usage: python -m gyrus.cluster.chart_job prepare|remove\n"
    assert chart_job.main(["prepare"]) == 2
    assert capsys.readouterr().err == (
        "error: The variable POD_NAMESPACE is missing: this program is for a job of the Helm chart.\n"
    )
    monkeypatch.setenv(names.POD_NAMESPACE_VARIABLE, "ml")
    assert chart_job.main(["prepare"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: This process does not run in a pod with a service account"
    )
