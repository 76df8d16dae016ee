"""The base URL of the endpoints, followed in the cluster."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from gyrus.kubernetes.client import Listed
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import Manifest, ResourceKind
from gyrus.operator.gateway_address import PAUSE, PAUSE_KNOWN, GatewayAddress


class Steps:
    """A clock whose sleeps end one by one, and their lengths."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._next = asyncio.Semaphore(0)
        self._asleep = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep.set()
        await self._next.acquire()

    async def until_asleep(self) -> None:
        await self._asleep.wait()
        self._asleep.clear()

    async def go_on(self) -> None:
        self._next.release()
        await self.until_asleep()


class OneService:
    """A cluster with one Service, or none, or none that answers."""

    def __init__(self) -> None:
        self.service: Manifest | None = None
        self.silent = False

    async def find(self, resource: ResourceKind, name: str, namespace: str | None = None) -> Manifest | None:
        assert (resource.plural, name, namespace) == ("services", "gyrus-gateway", "ml")
        if self.silent:
            raise KubernetesError("no answer")
        return self.service

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed:
        return Listed((), "1")


async def test_the_address_of_a_load_balancer_is_found_when_it_has_one() -> None:
    clock, cluster = Steps(), OneService()
    address = GatewayAddress(cluster, "ml", clock)
    inside = "http://gyrus-gateway.ml.svc"
    async with asyncio.TaskGroup() as group:
        following = group.create_task(address.follow(), name="follow")
        await clock.until_asleep()
        assert address.url == inside
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        cluster.service = {"metadata": {"name": "gyrus-gateway"}, "spec": spec, "status": {}}
        await clock.go_on()
        assert address.url == inside
        cluster.service["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
        await clock.go_on()
        assert address.url == "http://203.0.113.7"
        cluster.silent = True
        await clock.go_on()
        assert address.url == "http://203.0.113.7"
        following.cancel()
    assert clock.slept == [PAUSE, PAUSE, PAUSE_KNOWN, PAUSE_KNOWN]
