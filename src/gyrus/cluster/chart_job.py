"""``python -m gyrus.cluster.chart_job prepare|remove``: the jobs of the Helm chart, in pods."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from gyrus.aio.clock import SystemClock
from gyrus.cluster import secrets
from gyrus.cluster.changes import ObjectChange, applied
from gyrus.cluster.errors import ClusterError
from gyrus.cluster.install import Installer
from gyrus.cluster.manifests import chart_jobs
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.ports import ClusterWriter
from gyrus.cluster.uninstall import Uninstaller
from gyrus.cluster.waiting import UntilGone
from gyrus.contract import cluster as names
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.configuration import in_cluster
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import DEPLOYMENTS, Manifest


async def prepare(installer: Installer, known: Installation, now: datetime) -> None:
    """Apply definition and Secrets. Pods start again if their certificate has been replaced.

    Raises KubernetesError.
    """
    before = await secrets.present(installer.cluster, known.namespace)
    data = await installer.prepare(known, now)
    for deployment, digest in replaced(before, data).items():
        await _restart(installer, known, deployment, digest)


def replaced(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return the digests of certificates that replace others, by the Deployment that uses them."""
    users = {names.OPERATOR_TLS: names.OPERATOR, names.GATEWAY_TLS: names.GATEWAY}
    digests = secrets.certificate_digests(after)
    return {
        deployment: digests[secret]
        for secret, deployment in users.items()
        if before.get(secret) and before[secret] != after[secret]
    }


async def _restart(installer: Installer, known: Installation, name: str, digest: str) -> None:
    found = await installer.cluster.find(DEPLOYMENTS, name, known.namespace)
    if found is None:
        return
    annotated: Manifest = {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {"name": name, "namespace": known.namespace},
        "spec": {"template": {"metadata": {"annotations": {f"{names.GROUP}/certificate": digest}}}},
    }
    installer.report(applied(found, await installer.cluster.apply(annotated)))


async def _run(act: str, namespace: str) -> None:
    known = Installation(namespace)
    async with ClusterClient(in_cluster()) as client:
        if act == chart_jobs.PREPARE:
            await prepare(Installer(client, _report, force=True), known, datetime.now(UTC))
        else:
            until_gone = UntilGone(client, SystemClock(), chart_jobs.PATIENCE / 3)
            await remove(client, known, until_gone)


async def remove(cluster: ClusterWriter, known: Installation, until_gone: UntilGone) -> None:
    """Delete what Helm does not know of: replicas, the APIs' objects, the Secrets, the definition."""
    await Uninstaller(cluster, _report, until_gone).remove_created(known)


def _report(change: ObjectChange) -> None:
    sys.stdout.write(f"{change}\n")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in chart_jobs.HOOKS:
        sys.stderr.write(f"usage: python -m {chart_jobs.MODULE} {'|'.join(chart_jobs.HOOKS)}\n")
        return 2
    namespace = os.environ.get(names.POD_NAMESPACE_VARIABLE)
    if not namespace:
        sys.stderr.write(
            f"error: The variable {names.POD_NAMESPACE_VARIABLE} is missing: this program is for a job of "
            "the Helm chart.\n"
        )
        return 2
    try:
        asyncio.run(_run(arguments[0], namespace))
    except (ClusterError, KubernetesError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
