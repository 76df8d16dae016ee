"""The base URL of the endpoints, followed in the cluster."""

from __future__ import annotations

import asyncio

from gyrus.aio.virtual import VirtualClock
from gyrus.kubernetes.client import Listed
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import Manifest, ResourceKind
from gyrus.operator.gateway_address import PAUSE, PAUSE_KNOWN, GatewayAddress


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
    clock, cluster = VirtualClock(), OneService()
    address = GatewayAddress(cluster, "ml", clock)
    inside, outside = "http://gyrus-gateway.ml.svc", "http://203.0.113.7"
    async with asyncio.TaskGroup() as group:
        following = group.create_task(address.follow(), name="follow")
        await clock.settle()
        assert address.url == inside
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        cluster.service = {"metadata": {"name": "gyrus-gateway"}, "spec": spec, "status": {}}
        await clock.advance(PAUSE)
        assert address.url == inside
        cluster.service["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
        await clock.advance(PAUSE)
        assert (address.url, clock.next_wake) == (outside, PAUSE_KNOWN)
        cluster.silent = True
        await clock.advance(PAUSE_KNOWN)
        assert address.url == outside
        following.cancel()
