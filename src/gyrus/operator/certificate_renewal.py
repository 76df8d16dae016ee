"""The renewal of the installation's own certificates, by the operator that leads.

The pods read renewed certificates from their volumes, into which Kubernetes brings them within a minute or
two. No pod starts again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.aio.ticks import ticks
from gyrus.cluster import secrets
from gyrus.cluster.manifests.objects import Installation
from gyrus.contract.cluster import CERTIFIED
from gyrus.kubernetes import resources
from gyrus.kubernetes.errors import KubernetesError, ObjectConflict
from gyrus.kubernetes.resources import Manifest, ResourceKind, name_of

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks at the Secrets."""


class SecretStore(Protocol):
    """The Secrets of a cluster."""

    async def find(
        self, resource: ResourceKind, name: str, namespace: str | None = None
    ) -> Manifest | None: ...

    async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest: ...


@dataclass(slots=True)
class CertificateRenewal:
    """Replaces certificates before they end, and their authority with an overlap."""

    cluster: SecretStore
    namespace: str
    clock: Clock
    _logged: str = ""

    async def run(self) -> None:
        """Renew what is due, again and again, until cancelled."""
        async for _ in ticks(self.clock, EVERY):
            try:
                await self.renew()
                self._logged = ""
            except ObjectConflict:
                continue  # another writer was first: `gyrus cluster install`, or a leader before this one
            except KubernetesError as error:
                if str(error) != self._logged:
                    log.warning("Certificates cannot be renewed now: %s", error)
                self._logged = str(error)

    async def renew(self) -> list[str]:
        """Replace what is due now, and return the names of the Secrets. Raises KubernetesError.

        Secrets that do not exist stay so: `gyrus cluster install` creates them.
        """
        stored = {
            name: await self.cluster.find(resources.SECRETS, name, self.namespace) for name in CERTIFIED
        }
        present = {name: secret for name, secret in stored.items() if secret is not None}
        if len(present) < len(CERTIFIED):
            return []
        data = {name: secrets.decoded(secret) for name, secret in present.items()}
        planned = secrets.certified(data, self.namespace, self.clock.now())
        due = {name: planned[name] for name in CERTIFIED if planned[name] != data[name]}
        for manifest in secrets.manifests(Installation(self.namespace), due):
            await self.cluster.apply(_as_read(manifest, present))
            log.info("The certificates of the Secret %s have been renewed.", name_of(manifest))
        return list(due)


def _as_read(manifest: Manifest, present: Mapping[str, Manifest]) -> Manifest:
    """Return the manifest of a change that fails if the Secret has changed since it was read."""
    version = resources.version_of(present[name_of(manifest)])
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
