"""The wait until the load balancers of an installation have their addresses."""

from __future__ import annotations

from gyrus.aio.clock import Clock
from gyrus.cluster.errors import ClusterError
from gyrus.cluster.overview import Overview, overview
from gyrus.cluster.ports import InstallationReader

POLL = 2.0
"""Seconds between two looks."""


async def until_reachable(
    cluster: InstallationReader, namespace: str, *, timeout: float, clock: Clock
) -> Overview:
    """Return the installation once operator and endpoints have an address.

    Raises ClusterError when the time is up.
    """
    until = clock.monotonic() + timeout
    while True:
        found = await overview(cluster, namespace)
        missing = found.operator.missing or found.gateway.missing
        if not missing:
            return found
        if clock.monotonic() > until:
            raise ClusterError(
                f"After {timeout:g} s, {missing}.",
                remedy=f"See why: kubectl describe services --namespace {namespace}. Then repeat the "
                "command: it continues",
            )
        await clock.sleep(POLL)
