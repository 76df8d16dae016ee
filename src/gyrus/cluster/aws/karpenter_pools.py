"""Karpenter's objects on a cluster: applied, and removed with their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gyrus.aio.clock import Clock
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.karpenter import karpenter_objects, own_labels
from gyrus.cluster.ports import ClusterWriter
from gyrus.kubernetes.errors import ObjectNotFound
from gyrus.kubernetes.resources import NODE_CLAIMS, NODE_CLASSES, NODE_POOLS, ResourceKind, name_of

POLL = 5.0
"""Seconds between two looks at nodes that end."""
POOL_LABEL = "karpenter.sh/nodepool"
MISSING = (
    "Karpenter is not installed on the cluster {cluster}, so that its groups stay at min_instances. Install "
    "Karpenter 1.0 or later (https://karpenter.sh/docs/getting-started), and run gyrus cluster configure."
)


async def apply_pools(
    client: ClusterWriter, spec: ClusterSpec, base: Mapping[str, str], note: Callable[[str], None]
) -> None:
    """Bring Karpenter's objects to cluster.yaml. ``base``: the outputs of the base stack.

    With another scaler, those of an earlier cluster.yaml are removed. Raises KubernetesError.
    """
    wanted = karpenter_objects(spec, base) if spec.scaler == "karpenter" else []
    if not await _installed(client):
        if spec.scaler == "karpenter":
            note(MISSING.format(cluster=spec.cluster_name))
        return
    for manifest in wanted:
        await client.apply(manifest)
    await _delete(client, spec, keep={name_of(manifest) for manifest in wanted})


async def remove_pools(client: ClusterWriter, spec: ClusterSpec, clock: Clock, within: float) -> bool:
    """Remove the NodePools, and wait until Karpenter has ended their nodes. Returns False if it has not.

    Raises KubernetesError.
    """
    if not await _installed(client):
        return True
    pools = {name_of(pool) for pool in await _own(client, spec, NODE_POOLS)}
    for name in sorted(pools):
        await _delete_object(client, NODE_POOLS, name)
    until = clock.monotonic() + within
    while await _has_nodes(client, pools):
        if clock.monotonic() >= until:
            return False
        await clock.sleep(POLL)
    await _delete(client, spec, keep=set())
    return True


async def _installed(client: ClusterWriter) -> bool:
    return await client.has(NODE_POOLS) and await client.has(NODE_CLASSES)


async def _has_nodes(client: ClusterWriter, pools: set[str]) -> bool:
    """Return True if Karpenter has nodes of these pools. Their NodeClaims end after the instances."""
    claims = (await client.list(NODE_CLAIMS)).items
    return any(claim["metadata"].get("labels", {}).get(POOL_LABEL) in pools for claim in claims)


async def _delete(client: ClusterWriter, spec: ClusterSpec, keep: set[str]) -> None:
    """Delete the objects of groups that are gone. Karpenter ends their nodes."""
    for kind in (NODE_POOLS, NODE_CLASSES):
        for manifest in await _own(client, spec, kind):
            if name_of(manifest) not in keep:
                await _delete_object(client, kind, name_of(manifest))


async def _own(client: ClusterWriter, spec: ClusterSpec, kind: ResourceKind) -> tuple[dict[str, object], ...]:
    labels = ",".join(f"{key}={value}" for key, value in own_labels(spec).items())
    return (await client.list(kind, labels=labels)).items


async def _delete_object(client: ClusterWriter, kind: ResourceKind, name: str) -> None:
    try:
        await client.delete(kind, name)
    except ObjectNotFound:
        return
