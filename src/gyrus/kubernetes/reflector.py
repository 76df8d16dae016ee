"""A cache of objects that follows the cluster: list, then watch.

::

    list ──► watch ──► (the server ends it) ──► watch from the last version
     ▲         │
     │         ├── 410 VersionGone ──────────────────► list
     │         └── another error ── back-off ─► watch from the last version
     └── error ── back-off
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals
from gyrus.kubernetes.client import Listed, WatchEvent
from gyrus.kubernetes.errors import KubernetesError, TooManyRequests, VersionGone
from gyrus.kubernetes.object_cache import ObjectCache
from gyrus.kubernetes.resources import Manifest, ResourceKind, name_of, namespace_of

log = logging.getLogger(__name__)

BACKOFF = Backoff(0.5, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The objects to follow."""

    resource: ResourceKind
    namespace: str | None = None
    """Namespace of the objects; None means all: then an object's name begins with its namespace."""
    labels: str = ""
    fields: str = ""

    def __str__(self) -> str:
        return f"{self.resource.full_name} of {self.namespace or 'the cluster'}"


class ObjectSource(Protocol):
    """The two operations of a client that a reflector needs."""

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed: ...

    def watch(
        self,
        resource: ResourceKind,
        namespace: str | None = None,
        *,
        version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncGenerator[WatchEvent]: ...


class Reflector:
    def __init__(
        self, client: ObjectSource, selection: Selection, clock: Clock, *, backoff: Backoff = BACKOFF
    ) -> None:
        self.changes = Signals()
        """Signals with the names of objects that came, changed or went."""
        self.fault: KubernetesError | None = None
        """The reason why the cache does not follow the cluster now. None if it does."""
        self._client = client
        self._selection = selection
        self._clock = clock
        self._backoff = backoff
        every = selection.resource.namespaced and selection.namespace is None
        self._cache = ObjectCache(_full_name if every else name_of)
        self._listed = asyncio.Event()

    @property
    def objects(self) -> Mapping[str, Manifest]:
        """The objects by name, as known now. Empty before the first list."""
        return self._cache

    @property
    def version(self) -> str:
        """The resource version of :attr:`objects`. Empty before the first list."""
        return self._cache.version

    async def list(self) -> None:
        """List the objects once. Raises KubernetesError."""
        selected = self._selection
        listed = await self._client.list(
            selected.resource, selected.namespace, labels=selected.labels, fields=selected.fields
        )
        self._notify(self._cache.replace(listed))
        self._listed.set()

    async def listed(self) -> None:
        """Wait until the first list has been read."""
        await self._listed.wait()

    async def run(self) -> None:
        """Follow the cluster until cancelled. Begins where the last list ended, if there was one."""
        failures, must_list = 0, not self.version
        while True:
            before = self.version
            try:
                if must_list:
                    await self.list()
                    must_list = False
                self.fault = None
                await self._watch()
                failures = 0
            except KubernetesError as error:
                failures = 0 if self.version != before else failures
                must_list = must_list or isinstance(error, VersionGone)
                await self._pause(error, failures)
                failures += 1

    async def _watch(self) -> None:
        selected = self._selection
        watch = self._client.watch(
            selected.resource,
            selected.namespace,
            version=self.version,
            labels=selected.labels,
            fields=selected.fields,
        )
        async with aclosing(watch) as events:
            async for event in events:
                self._notify(self._cache.take(event))

    async def _pause(self, error: KubernetesError, failures: int) -> None:
        """Wait after an error. Not at all after the first 410, since a list mends it."""
        if isinstance(error, VersionGone) and not failures:
            return
        self.fault = error
        delay = self._backoff.delay(failures) * random.uniform(0.5, 1.0)
        if isinstance(error, TooManyRequests):
            delay = max(delay, error.retry_after)
        log.warning("Following %s failed; trying again in %.1f s: %s", self._selection, delay, error)
        await self._clock.sleep(delay)

    def _notify(self, names: frozenset[str]) -> None:
        if names:
            self.changes.notify(*names)


def _full_name(manifest: Manifest) -> str:
    """Return the name of an object among those of all namespaces: ``kube-system/coredns-1``."""
    namespace, name = namespace_of(manifest), name_of(manifest)
    return f"{namespace}/{name}" if namespace else name
