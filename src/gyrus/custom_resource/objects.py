"""The objects ``apis.gyrus.dev`` of one namespace: followed, and created as owners of pods."""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.aio.clock import Clock
from gyrus.custom_resource.api_object import ApiObject, mirror, owner_reference
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import AlreadyExists
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import APIS, Manifest


class ApiObjects:
    def __init__(self, client: ClusterClient, namespace: str, clock: Clock) -> None:
        self._client = client
        self._namespace = namespace
        self.reflector = Reflector(client, Selection(resource=APIS, namespace=namespace), clock)

    @property
    def known(self) -> Mapping[str, Manifest]:
        """The objects by name, as the watch shows them."""
        return self.reflector.objects

    def find(self, name: str) -> ApiObject | None:
        manifest = self.known.get(name)
        return ApiObject(manifest) if manifest is not None else None

    async def owner(self, api: str) -> Manifest:
        """Return the reference to an API's object, for what it owns. Creates a mirror if there is no object.

        So a pod has its owner from the beginning: ``kubectl drain`` refuses to evict a pod without one.

        Raises KubernetesError.
        """
        known = self.known.get(api)
        if known is None:
            try:
                known = await self._client.create(mirror(api, self._namespace, None))
            except AlreadyExists:
                known = await self._client.get(APIS, api, self._namespace)
        return owner_reference(known)
