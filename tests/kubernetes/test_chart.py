"""The Helm chart on a real cluster: install, deploy, answer, scrape, upgrade, remove.

Helm must be named by the variable HELM or be on the PATH, and the images must be on the nodes: see
``tests/support/installation.py``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gyrus.cluster.chart.dashboard import expressions
from gyrus.contract.cluster import (
    GATEWAY,
    GATEWAY_ROLE,
    OPERATOR_ROLE,
    OPERATOR_SECRETS,
    OPERATOR_TLS,
    REPLICA_ROLE,
    ROLE_LABEL,
)
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    PRIORITY_CLASSES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    VOLUME_CLAIMS,
    Manifest,
    name_of,
)
from support.cluster import eventually
from support.helm import CHART, helm, needs_helm, templated
from support.installation import Installation
from support.metrics import names_in, series

pytestmark = [needs_helm, pytest.mark.processes, pytest.mark.timeout(600)]

HANDLER = """
class Handler:
    def predict(self, payload):
        return {"number": payload["number"] + 1}
"""
SPEC = """
name: tiny
kind: RealtimeAPI
handler: {path: handler.py, processes: 2}
compute: {cpu: 50m, mem: 256Mi}
"""
ROLES_WITH_METRICS = (OPERATOR_ROLE, GATEWAY_ROLE, REPLICA_ROLE)
TIMEOUT = ("--wait", "--timeout", "240s")
KINDS = (
    DEPLOYMENTS, JOBS, PODS, SERVICES, SECRETS, LEASES, NETWORK_POLICIES, VOLUME_CLAIMS, CONFIG_MAPS,
    SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS,
)  # fmt: skip
CLUSTER_WIDE = (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, PRIORITY_CLASSES)
OF_THE_CLUSTER = re.compile(r"default|default-token-.*|kube-root-ca\.crt")
"""Objects that each namespace has."""


@pytest.fixture
async def installation(tmp_path: Path, client: ClusterClient) -> AsyncIterator[Installation]:
    """A namespace for a release, which is removed at the end."""
    made = Installation(tmp_path)
    yield made
    await asyncio.to_thread(helm, "uninstall", "gyrus", "-n", made.namespace, "--wait", check=False)
    if await client.find(NAMESPACES, made.namespace):
        await client.delete(NAMESPACES, made.namespace)


async def left(client: ClusterClient, namespace: str) -> list[str]:
    """Everything of an installation that exists."""
    found = [
        f"{kind.kind} {name_of(item)}"
        for kind in KINDS
        for item in (await client.list(kind, namespace)).items
        if not OF_THE_CLUSTER.fullmatch(name_of(item))
    ]
    wide = [
        f"{kind.kind} {name_of(item)}"
        for kind in CLUSTER_WIDE
        for item in (await client.list(kind)).items
        if name_of(item).startswith(namespace)
    ]
    return [*found, *wide]


async def secrets_of(client: ClusterClient, namespace: str) -> list[Manifest]:
    return [(await client.get(SECRETS, name, namespace))["data"] for name in (OPERATOR_SECRETS, OPERATOR_TLS)]


async def scraped(client: ClusterClient, namespace: str, role: str) -> set[str]:
    """The names of the series of this role's pods, where their annotations name them."""
    found: set[str] = set()
    for pod in (await client.list(PODS, namespace, labels=f"{ROLE_LABEL}={role}")).items:
        annotations = pod["metadata"]["annotations"]
        port, path = annotations["prometheus.io/port"], annotations["prometheus.io/path"]
        assert annotations["prometheus.io/scrape"] == "true"
        async with httpx.AsyncClient() as http:
            answered = await http.get(f"http://{pod['status']['podIP']}:{port}{path}")
        assert answered.status_code == 200
        for family in text_string_to_metric_families(answered.text):
            found |= series(family)
    return found


async def test_install_deploy_upgrade_uninstall(
    installation: Installation, client: ClusterClient, tmp_path: Path
) -> None:
    namespace, values = installation.namespace, installation.values()
    chosen = ("gyrus", CHART, "--namespace", namespace, "--values", values, *TIMEOUT)
    await asyncio.to_thread(helm, "install", *chosen, "--create-namespace")
    assert (await asyncio.to_thread(installation.cluster, "health")).code == 0
    connected = await asyncio.to_thread(installation.cluster, "connect", "-o", "json")
    environment = connected.json["environment"]

    project = tmp_path / "tiny"
    project.mkdir()
    (project / "handler.py").write_text(HANDLER)
    (project / "gyrus.yaml").write_text(SPEC)
    deployed = await asyncio.to_thread(installation.run, "-e", environment, "deploy", project, "-y")
    assert deployed.code == 0, deployed.err
    got = await asyncio.to_thread(installation.run, "-e", environment, "get", "tiny", "-o", "json")
    async with httpx.AsyncClient(timeout=60) as http:
        answered = await http.post(got.json["endpoint"], json={"number": 6})
    assert (answered.status_code, answered.json()) == (200, {"number": 7})

    known = {name for role in ROLES_WITH_METRICS for name in await scraped(client, namespace, role)}
    assert {name for expression in expressions() for name in names_in(expression)} - known == set()

    before = await secrets_of(client, namespace)
    await asyncio.to_thread(helm, "upgrade", *chosen, "--set", "gateway.replicas=1")
    gateways = await client.get(DEPLOYMENTS, GATEWAY, namespace)
    assert gateways["spec"]["replicas"] == 1
    assert await secrets_of(client, namespace) == before
    async with httpx.AsyncClient(timeout=60) as http:
        answered = await http.post(got.json["endpoint"], json={"number": 1})
    assert answered.json() == {"number": 2}

    await asyncio.to_thread(helm, "uninstall", "gyrus", "--namespace", namespace, "--wait")
    await eventually(lambda: nothing_is_left(client, namespace))


async def nothing_is_left(client: ClusterClient, namespace: str) -> bool:
    return await left(client, namespace) == []


async def test_the_cluster_accepts_every_object_of_the_chart(
    client: ClusterClient, namespace: str, tmp_path: Path
) -> None:
    """Of its own versions: this cluster may not have the newest disruption budgets."""
    values = yaml.safe_load(Installation(tmp_path).values().read_text())
    refused: list[str] = []
    version = await client.server_version()
    for manifest in templated(tmp_path, values, namespace, version=version):
        if manifest["apiVersion"] == "policy/v1":
            manifest["apiVersion"] = "policy/v1beta1" if version < (1, 21) else "policy/v1"
        try:
            await client.apply(manifest, dry_run=True)
        except KubernetesError as error:
            refused.append(f"{manifest['kind']} {name_of(manifest)}: {error}")
    assert refused == []
