"""Tests on a real cluster, named by KUBECONFIG. Each test gets a namespace of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import NAMESPACES
from support.aws.cluster_on_aws import ClusterOnAws, cluster_on_aws
from support.cluster import connected, needs_cluster, new_namespace

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(needs_cluster)
            item.add_marker("slow")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[ClusterClient]:
    async with connected() as made:
        yield made


@pytest_asyncio.fixture
async def namespace(client: ClusterClient) -> AsyncIterator[str]:
    async with new_namespace(client) as made:
        yield made


@pytest_asyncio.fixture
async def cluster(tmp_path: Path, client: ClusterClient) -> AsyncIterator[ClusterOnAws]:
    """A cluster.yaml to be, and an account whose EKS is this cluster. Removed at the end."""
    with cluster_on_aws(tmp_path) as made:
        await made.give_credentials(client)
        try:
            yield made
        finally:
            await asyncio.to_thread(made.run, "cluster", "down", "-y", "--force")
            await client.delete(NAMESPACES, made.namespace)
