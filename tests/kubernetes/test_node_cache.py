"""Pods of a node share Python environments: the second one fetches nothing."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import DAEMON_SETS, NODES, name_of
from support.cluster import eventually
from support.installed import Installed, installed

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

FOLDER = f"/tmp/gyrus-node-cache-{uuid.uuid4().hex[:8]}"
"""On each node. It stays there."""
API = "cached"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Installed]:
    cache = {"path": FOLDER, "size": "1Gi"}
    async with installed({"node_cache": cache, "pod_security": "privileged"}) as made:
        yield made


async def test_a_second_pod_on_a_node_fetches_no_environment(platform: Installed) -> None:
    async def is_prepared() -> bool:
        found = await platform.client.get(DAEMON_SETS, names.NODE_CACHE, platform.namespace)
        status: dict[str, int] = found.get("status") or {}
        return 0 < status.get("desiredNumberScheduled", 0) == status.get("numberReady", 0)

    await eventually(is_prepared)
    project = platform.project(API)
    await platform.gyrus("deploy", project, "-y")
    [first] = await platform.pods(API)
    node = first["spec"]["nodeName"]
    labels = (await platform.client.get(NODES, node))["metadata"]["labels"]
    assert "fetched the environment in" in await fetched(platform, name_of(first))

    platform.project(API, 2, node_selector={"kubernetes.io/hostname": labels["kubernetes.io/hostname"]})
    await platform.gyrus("deploy", project, "-y")
    second = next(pod for pod in await platform.pods(API) if name_of(pod) != name_of(first))
    assert second["spec"]["nodeName"] == node
    # The builder may have stored the environment with bytecode meanwhile, and the first pod still uses it.
    assert "the node has the environment" in await fetched(platform, name_of(second))
    assert await platform.ask((await platform.gyrus("get", API))["endpoint"]) == {"version": 2}


async def test_replicas_cannot_write_into_it(platform: Installed) -> None:
    [pod] = await platform.pods(API)
    [container] = pod["spec"]["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["environments"]["readOnly"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


async def fetched(platform: Installed, pod: str) -> str:
    """Return what the fetcher of a pod reported."""
    logs = platform.client.logs(pod, platform.namespace, container="fetch")
    async with aclosing(logs) as lines:
        return "\n".join([line async for line in lines])
