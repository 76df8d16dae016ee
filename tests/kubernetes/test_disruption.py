"""Drained nodes: the replacement serves before the old replica stops."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gyrus.contract.cluster import API_LABEL
from gyrus.kubernetes.resources import DISRUPTION_BUDGETS, DISRUPTION_BUDGETS_BETA, name_of
from support.cluster import eventually
from support.installed import Installed, installed, needs_kubectl
from support.load import Load

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    needs_kubectl,
]

RATE = 100
"""Requests a second."""
API = f"drained-{os.getpid()}"
"""Only its pods are evicted: other pods of the nodes may be those of another test."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Installed]:
    async with installed() as made:
        yield made


async def deploy(platform: Installed, replicas: int) -> str:
    scaling = {"min_replicas": replicas, "max_replicas": replicas}
    await platform.gyrus("deploy", platform.project(API, autoscaling=scaling), "-y")
    return (await platform.gyrus("get", API))["endpoint"]


async def least_available(platform: Installed) -> int:
    has_new = await platform.client.has(DISRUPTION_BUDGETS)
    kind = DISRUPTION_BUDGETS if has_new else DISRUPTION_BUDGETS_BETA
    found = await platform.client.find(kind, f"gyrus-api-{API}", platform.namespace)
    return found["spec"]["minAvailable"] if found else -1


async def test_a_drain_fails_no_request_and_the_replacement_serves_first(platform: Installed) -> None:
    endpoint = await deploy(platform, 1)
    assert await least_available(platform) == 1
    [before] = await platform.pods(API)
    node = before["spec"]["nodeName"]
    try:
        async with Load(endpoint, RATE, body=b"{}") as load:
            await asyncio.sleep(2)
            await platform.kubectl(
                *("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"),
                f"--pod-selector={API_LABEL}={API}",
            )
            await asyncio.sleep(2)  # the load goes on for a while after it
        [after] = await platform.pods(API)
        assert after["spec"]["nodeName"] != node
    finally:
        await platform.kubectl("uncordon", node)
    assert load.result.failed == (), str(load.result)
    events = await platform.gyrus("events", API)
    recorded = [(event["reason"], event["replica"]) for event in events]
    assert recorded.index(("Evacuating", name_of(before))) < recorded.index(("ReplicaReady", name_of(after)))
    assert recorded.index(("ReplicaReady", name_of(after))) < recorded.index(
        ("ReplicaDraining", name_of(before))
    )


async def test_the_budget_follows_the_number_of_replicas(platform: Installed) -> None:
    await deploy(platform, 2)

    async def follows() -> bool:
        return await least_available(platform) == 2

    await eventually(follows)
