"""The whole way on a real cluster: install, deploy, answer, update, scale, and survive what ends its pods.

The images must be on the nodes: see ``tests/support/installation.py``.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gyrus.contract.cluster import API_LABEL, ROLE_LABEL
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import PERSISTENT_VOLUMES, PODS, name_of
from support.cluster import connected, eventually
from support.installation import Installation
from support.load import Load, Result

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

RATE = 100
"""Requests a second."""
HANDLER = """
VERSION = {version}


class Handler:
    def predict(self, payload):
        return {{"version": VERSION, "number": payload["number"]}}
"""
SPEC = """
name: tiny
kind: RealtimeAPI
handler: {{path: handler.py}}
max_concurrency: 8
compute: {{cpu: 50m, mem: 256Mi}}
autoscaling: {{min_replicas: {least}, max_replicas: {most}, window: 2s, downscale_stabilization_period: 2s}}
"""


@dataclass
class Platform:
    """An installation with one API."""

    installation: Installation
    client: ClusterClient
    folder: Path
    environment: str = ""
    version: int = 0
    endpoint: str = ""

    async def gyrus(self, *arguments: str | Path) -> Any:
        """Run a command in this environment, and return its JSON. It must succeed."""
        ran = await asyncio.to_thread(self.installation.run, "-e", self.environment, *arguments, "-o", "json")
        assert ran.code == 0, ran.err
        return ran.json

    async def deploy(self, *, least: int = 1, most: int = 3) -> None:
        """Deploy the next version, and wait until it is live."""
        self.version += 1
        (self.folder / "handler.py").write_text(HANDLER.format(version=self.version))
        (self.folder / "gyrus.yaml").write_text(SPEC.format(least=least, most=most))
        await self.gyrus("deploy", self.folder, "-y")
        self.endpoint = (await self.status())["endpoint"]

    async def status(self) -> dict[str, Any]:
        return await self.gyrus("get", "tiny")

    async def ask(self, **settings: Any) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=60) as client:
            answered = await client.post(self.endpoint, json={"number": 7}, **settings)
        assert answered.status_code == 200, answered.text
        return answered.json()

    async def under_load(self, act: Callable[[], Awaitable[object]]) -> Result:
        async with Load(self.endpoint, RATE, body=b'{"number":7}') as load:
            await act()
            await asyncio.sleep(1)  # the load goes on for a while after it
        return load.result

    async def pods(self, labels: str) -> list[str]:
        found = await self.client.list(PODS, self.installation.namespace, labels=labels)
        return [name_of(pod) for pod in found.items if "deletionTimestamp" not in pod["metadata"]]

    async def interpreters(self) -> set[str]:
        """Return the interpreters of all replicas, whose paths name their environments."""
        namespace = self.installation.namespace
        found = await self.client.list(PODS, namespace, labels=f"{ROLE_LABEL}=replica")
        return {pod["spec"]["containers"][0]["command"][0] for pod in found.items}

    async def delete(self, role: str) -> None:
        """Delete a pod of this role, and wait until it is gone and another one is ready."""
        pod, *_ = await self.pods(f"{ROLE_LABEL}={role}")
        await self.client.delete(PODS, pod, self.installation.namespace)
        await eventually(lambda: self._is_gone(pod))
        await eventually(self._is_healthy)

    async def _is_gone(self, pod: str) -> bool:
        return await self.client.find(PODS, pod, self.installation.namespace) is None

    async def _is_healthy(self) -> bool:
        return (await asyncio.to_thread(self.installation.cluster, "health")).code == 0

    async def replicas(self, number: int) -> None:
        """Wait until so many pods of the API exist, and as many are counted as ready."""

        async def as_many() -> bool:
            pods = await self.pods(f"{API_LABEL}=tiny")
            return len(pods) == number == (await self.status())["replicas"]["ready"]

        await eventually(as_many)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        volume = folder / "volume"
        volume.mkdir()
        volume.chmod(0o777)
        project = folder / "tiny"
        project.mkdir()
        installation = Installation(folder)
        async with connected() as client:
            kept = {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": installation.namespace},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": installation.namespace,
                    "hostPath": {"path": str(volume)},
                },
            }
            await client.create(kept)
            try:
                values = installation.values(storage_class=installation.namespace)
                installed = await asyncio.to_thread(
                    installation.cluster, "install", "--values", values, "-o", "json"
                )
                assert installed.code == 0, installed.err
                made = Platform(installation, client, project, installed.json["environment"])
                await made.deploy()
                yield made
            finally:
                await asyncio.to_thread(installation.cluster, "uninstall", "-y")
                await client.delete(PERSISTENT_VOLUMES, installation.namespace)


async def test_an_api_answers_through_the_gateways_service(platform: Platform) -> None:
    assert await platform.ask() == {"version": platform.version, "number": 7}
    status = await platform.status()
    assert (status["status"], status["replicas"]["ready"]) == ("live", 1)


async def test_updates_under_load_lose_no_request(platform: Platform) -> None:
    before = await platform.interpreters()

    async def update() -> None:
        for _ in range(5):
            await platform.deploy()

    result = await platform.under_load(update)
    assert result.failed == (), str(result)
    assert (await platform.ask())["version"] == platform.version
    assert await platform.interpreters() == before  # the code alone has changed: nothing is built again


@pytest.mark.parametrize(("role", "least"), [("replica", 2), ("replica", 1), ("gateway", 2), ("operator", 2)])
async def test_the_deletion_of_a_pod_loses_no_request(platform: Platform, role: str, least: int) -> None:
    """The only replica, too: its replacement serves before it leaves the routes."""
    await platform.deploy(least=least)
    await platform.replicas(least)
    result = await platform.under_load(lambda: platform.delete(role))
    assert result.failed == (), str(result)
    await platform.replicas(least)


async def test_an_api_scales_out_and_to_zero_and_answers_again(platform: Platform) -> None:
    await platform.deploy(least=3)
    await platform.replicas(3)
    await platform.deploy(least=0)
    await platform.replicas(0)
    assert (await platform.status())["status"] == "idle"
    assert (await platform.ask())["version"] == platform.version
