"""The base URL of the endpoints in a cluster, from the address of the gateways' Service."""

from __future__ import annotations

import logging

from gyrus.aio.clock import Clock
from gyrus.cluster.addresses import address_of
from gyrus.cluster.ports import ClusterReader
from gyrus.contract import cluster
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.resources import NODES, SERVICES, name_of

log = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds between two looks at the Service while it has no address."""
PAUSE_KNOWN = 300.0
"""Seconds between two looks at a Service with an address, which changes with its type or its nodes."""


class GatewayAddress:
    """The address of the gateways' Service of a namespace."""

    def __init__(self, client: ClusterReader, namespace: str, clock: Clock) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._found = ""
        self._scheme = "http"

    @property
    def url(self) -> str:
        """The base URL. Until the Service has an address, it is the name that pods of the cluster use."""
        return self._found or f"{self._scheme}://{cluster.GATEWAY}.{self._namespace}.svc"

    async def follow(self) -> None:
        """Keep the URL current until cancelled."""
        while True:
            try:
                self._found = await self._look() or self._found
            except KubernetesError as error:
                log.warning("The address of the Service %s cannot be read now: %s", cluster.GATEWAY, error)
            await self._clock.sleep(PAUSE_KNOWN if self._found else PAUSE)

    async def _look(self) -> str:
        """Return the URL of the Service. Empty if it has no address yet."""
        service = await self._client.find(SERVICES, cluster.GATEWAY, self._namespace)
        if service is None:
            return ""
        nodes = sorted((await self._client.list(NODES)).items, key=name_of)
        address = address_of(service, nodes)
        self._scheme = address.scheme
        return "" if address.missing or not address.host else address.endpoints
