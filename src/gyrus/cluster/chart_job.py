"""``python -m gyrus.cluster.chart_job prepare|remove``: the jobs of the Helm chart, in pods."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

from gyrus.aio.clock import SystemClock
from gyrus.cluster.changes import ObjectChange
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


async def _run(act: str, namespace: str) -> None:
    known = Installation(namespace)
    async with ClusterClient(in_cluster()) as client:
        if act == chart_jobs.PREPARE:
            await Installer(client, _report, force=True).prepare(known, datetime.now(UTC))
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
