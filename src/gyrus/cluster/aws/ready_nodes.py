"""The wait until the cluster's first node is ready."""

from __future__ import annotations

import asyncio

from gyrus.aio.clock import Clock
from gyrus.aio.signals import listen
from gyrus.cluster.errors import ClusterError
from gyrus.cluster.fields import entries, section
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import NODES, Manifest


async def until_node_ready(client: ClusterClient, *, timeout: float, clock: Clock) -> None:
    """Wait until a node is ready. Raises ClusterError when the time is up."""
    reflector = Reflector(client, Selection(resource=NODES), clock)
    await reflector.list()
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as tasks:
            follower = tasks.create_task(reflector.run(), name="follow nodes")
            with listen(reflector.changes) as listener:
                while not any(is_ready(node) for node in reflector.objects.values()):
                    await listener.wait()
            follower.cancel()
    except TimeoutError:
        raise ClusterError(
            f"No node of the cluster became ready in {timeout:g} s.",
            remedy="See the activity of the cluster's Auto Scaling groups in the AWS console, and repeat the "
            "command: it continues",
        ) from None


def is_ready(node: Manifest) -> bool:
    """Return True if a node is ready."""
    conditions = entries(section(node, "status"), "conditions")
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
