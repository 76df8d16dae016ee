"""The operations of a cluster that this package needs; :class:`gyrus.kubernetes.client.Client` has them."""

from __future__ import annotations

from typing import Protocol

from gyrus.kubernetes.client import Listed
from gyrus.kubernetes.resources import Manifest, ResourceKind


class ClusterReader(Protocol):
    """Reads objects."""

    async def find(
        self, resource: ResourceKind, name: str, namespace: str | None = None
    ) -> Manifest | None: ...

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed: ...


class InstallationReader(ClusterReader, Protocol):
    """Reads objects, and asks pods."""

    async def answer_of(self, pod: str, namespace: str, port: int, path: str) -> str: ...


class ClusterWriter(ClusterReader, Protocol):
    """Reads and changes objects, and knows what the cluster offers and allows."""

    async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest: ...

    async def delete(
        self,
        resource: ResourceKind,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        uid: str | None = None,
    ) -> object: ...

    async def has(self, resource: ResourceKind) -> bool: ...

    async def may(self, verb: str, resource: ResourceKind, namespace: str | None = None) -> bool: ...

    async def server_version(self) -> tuple[int, int]: ...
