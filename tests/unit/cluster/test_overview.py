"""What is wrong with an installation, beside its pods, and the remedy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gyrus.cluster.install import Installer
from gyrus.cluster.manifests.objects import HELM, MANAGED_BY, Installation
from gyrus.cluster.overview import Overview, overview
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import DEPLOYMENTS, SECRETS, SERVICES, Manifest
from support.kubernetes_cluster import MemoryCluster

NOW = datetime(2026, 11, 28, tzinfo=UTC)
COMMAND = "Run again, with the same values file: gyrus cluster install --namespace ml"
HELM_COMMAND = (
    "Run again, with the same values: helm upgrade models CHART --namespace ml --reset-then-reuse-values"
)


async def installed(manager: str) -> MemoryCluster:
    cluster = MemoryCluster()
    await Installer(cluster, lambda change: None).install(Installation("ml"), NOW)
    if manager == HELM:
        metadata = (await found(cluster))["metadata"]
        metadata["labels"][MANAGED_BY] = HELM
        metadata["annotations"] = {"meta.helm.sh/release-name": "models"}
    return cluster


async def found(cluster: MemoryCluster) -> Manifest:
    operator = await cluster.find(DEPLOYMENTS, names.OPERATOR, "ml")
    assert operator is not None
    return operator


def problems(seen: Overview) -> list[tuple[str, str]]:
    return [(problem.message, problem.remedy) for problem in seen.problems(NOW)]


@pytest.mark.parametrize(("manager", "remedy"), [(names.MANAGER, COMMAND), (HELM, HELM_COMMAND)])
async def test_what_is_missing_comes_back_by_the_command_that_created_it(manager: str, remedy: str) -> None:
    cluster = await installed(manager)
    await cluster.delete(SECRETS, names.OPERATOR_SECRETS, "ml")
    await cluster.delete(SERVICES, names.GATEWAY, "ml")
    await cluster.delete(DEPLOYMENTS, names.GATEWAY, "ml")
    seen = await overview(cluster, "ml")
    assert problems(seen) == [
        ("the Service gyrus-gateway does not exist", remedy),
        ("the Secrets with the token and the certificate are missing", remedy),
    ]
    gateway = seen.parts[1]
    assert gateway.problem is not None
    assert gateway.problem.message == "the Deployment gyrus-gateway does not exist"
    assert gateway.problem.remedy == remedy


async def test_a_load_balancer_without_an_address() -> None:
    seen = await overview(await installed(names.MANAGER), "ml")
    assert problems(seen) == [
        (
            "the Service gyrus-gateway waits for the address of its load balancer",
            "Wait for it. On a cluster without load balancers, set gateway.service: NodePort in a values "
            "file.",
        )
    ]
