"""A real cluster as a place where a backend's replicas run: a namespace of its own, and an image."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import psutil
import pytest

from gyrus.aio.clock import SystemClock
from gyrus.backends.kubernetes.backend import KubernetesBackend
from gyrus.backends.kubernetes.programs import ImagePrograms, Program
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import Backend, ReplicaOrder
from gyrus.contract.cluster import OPERATOR_TLS
from gyrus.contract.operator import LogQuery
from gyrus.kubernetes.client import ClusterClient
from support import backends
from support.backends import EXIT, all_of, order, running_once
from support.cluster import PATIENCE, SERVER_IMAGE, connected, eventually, new_namespace
from support.log_archive import MemorySegments, intake_of

MARK = "GYRUS_TEST_REPLICA"
"""Environment variable by which a replica's process is found."""


@dataclass(frozen=True, slots=True)
class Programs(ImagePrograms):
    """Programs of the image. One with requirements needs an environment, which no pod here can build."""

    namespace: str

    async def environment(self, order: ReplicaOrder) -> str | None:
        return "0" * 32 if order.workload.environment.requirements else None

    def program(self, order: ReplicaOrder, environment: str | None = None) -> Program:
        made = ImagePrograms.program(self, order)
        (server,) = made.containers
        marked = replace(server, variables={**server.variables, MARK: f"{self.namespace}/{order.id}"})
        return replace(made, containers=(marked,))


@dataclass(slots=True)
class ClusterWorld:
    client: ClusterClient
    namespace: str
    logs: MemorySegments = field(default_factory=MemorySegments)
    """The log archive, which outlives a backend."""

    def backend(self, *, cores: float | None = None) -> KubernetesBackend:
        if cores is not None:
            pytest.skip("a cluster's capacity is what its nodes have")
        settings = KubernetesSettings(
            namespace=self.namespace, image=SERVER_IMAGE, secret="s", runtime="r", serving_on=0
        )
        return KubernetesBackend(
            self.client,
            settings,
            Programs(SERVER_IMAGE, self.namespace),
            SystemClock(),
            is_built=lambda key: False,
            intake=intake_of(self.logs),
        )

    def broken(self, id: str) -> ReplicaOrder:
        return order(id, process={"command": ["python", "server.py"], "requirements": "missing.txt"})

    def ending(self, id: str, code: int) -> ReplicaOrder:
        return running_once(id, *EXIT, str(code))

    def kill(self, backend: Backend, id: str) -> None:
        """Kill the first process of the container, which this machine sees if the nodes run on it."""
        for process in psutil.process_iter():
            try:
                found = process.environ().get(MARK) == f"{self.namespace}/{id}"
            except psutil.Error:
                continue
            if found:
                os.kill(process.pid, signal.SIGKILL)
                return
        pytest.skip("the nodes' processes are not visible here")

    async def write_line(self, backend: Backend, id: str, message: str) -> None:
        status = all_of(backend)[id].status
        (endpoint,) = status.endpoints
        await asyncio.to_thread(_get, f"http://{endpoint}{message}")

        async def logged() -> bool:
            lines = [line.message async for line in backend.logs(LogQuery(api=status.api, replica=id))]
            return message in lines

        await eventually(logged)


@asynccontextmanager
async def cluster_world() -> AsyncGenerator[ClusterWorld]:
    """With a namespace of its own, which is deleted at the end with all that runs in it."""
    before = backends.PATIENCE
    backends.PATIENCE = PATIENCE
    try:
        async with connected() as client, new_namespace(client) as namespace:
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": OPERATOR_TLS, "namespace": namespace},
                "data": {"ca.crt": base64.b64encode(b"none").decode()},
            }
            await client.apply(secret)
            yield ClusterWorld(client, namespace)
    finally:
        backends.PATIENCE = before


def _get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        answer.read()
