"""A real cluster for tests, named by KUBECONFIG, and an image with a small server."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gyrus.contract.cluster import REPLICA
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.configuration import from_kubeconfig
from gyrus.kubernetes.resources import NAMESPACES, PERSISTENT_VOLUMES, SERVICE_ACCOUNTS, Manifest

PATIENCE = 90.0
"""Seconds after which what a test waits for will not happen any more. Pods of a busy machine are slow."""
SERVER_IMAGE = os.environ.get("GYRUS_TEST_IMAGE", "localhost/gyrus-test-server:1")
"""The image of the folder tests/kubernetes/server."""
RUNTIME_IMAGE = os.environ.get("GYRUS_TEST_RUNTIME_IMAGE", "localhost/gyrus-runtime:0.1.0")
"""The runtime image, as ``scripts/images`` builds it."""
HOST_ADDRESS = os.environ.get("GYRUS_TEST_HOST_ADDRESS", "172.31.255.254")
"""An address of this machine that the cluster and its pods reach."""
PREFIX = os.environ.get("GYRUS_TEST_PREFIX", "gyrus-test")

needs_cluster = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG"), reason="no cluster: set KUBECONFIG to the path of a kubeconfig"
)


@asynccontextmanager
async def connected() -> AsyncGenerator[ClusterClient]:
    async with ClusterClient(from_kubeconfig()) as client:
        yield client


@asynccontextmanager
async def new_namespace(client: ClusterClient) -> AsyncGenerator[str]:
    """A namespace with the service account of replicas, deleted at the end."""
    name = f"{PREFIX}-{secrets.token_hex(3)}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        account: Manifest = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": REPLICA, "namespace": name},
        }
        await client.apply(account)
        await default_account(client, name)
        yield name
    finally:
        await client.delete(NAMESPACES, name)


async def default_account(client: ClusterClient, namespace: str) -> None:
    """Wait for the account that the cluster adds to a new namespace: without it no pod is admitted."""
    await eventually(lambda: client.find(SERVICE_ACCOUNTS, "default", namespace))


async def eventually(what: Callable[[], object], within: float = PATIENCE) -> object:
    """Return the first result that is true, of a function that may be asynchronous."""
    async with asyncio.timeout(within):
        while True:
            found = what()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.1)


@asynccontextmanager
async def new_volume(client: ClusterClient, name: str, folder: Path) -> AsyncGenerator[str]:
    """Yield the storage class of a volume for one claim: a folder that each node has."""
    folder.mkdir()
    folder.chmod(0o777)
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "hostPath": {"path": str(folder)},
        },
    }
    await client.create(volume)
    try:
        yield name
    finally:
        await client.delete(PERSISTENT_VOLUMES, name)
