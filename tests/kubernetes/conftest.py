"""Tests on a real cluster, named by KUBECONFIG. Each test gets a namespace of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gyrus.kubernetes.client import ClusterClient
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
