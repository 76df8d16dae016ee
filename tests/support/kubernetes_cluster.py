"""A cluster in memory: objects, versions that change with them, rights. No controller acts on the objects."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from gyrus.kubernetes.client import Listed
from gyrus.kubernetes.errors import ObjectConflict, ObjectNotFound
from gyrus.kubernetes.resources import (
    DISRUPTION_BUDGETS,
    POD_MONITORS,
    Manifest,
    ResourceKind,
    name_of,
    namespace_of,
    resource_of,
)

Key = tuple[str, str | None, str]


@dataclass
class MemoryCluster:
    """What :class:`gyrus.cluster.ports.ClusterWriter` needs."""

    version: tuple[int, int] = (1, 31)
    budgets: str = "v1"
    """The version of PodDisruptionBudgets."""
    monitors: bool = False
    """True if it has the Prometheus Operator's PodMonitors."""
    forbidden: frozenset[tuple[str, str]] = frozenset()
    """Verbs on resources that these credentials may not."""
    conflicts: frozenset[str] = frozenset()
    """Names of objects of which another manager owns a field."""
    objects: dict[Key, Manifest] = field(default_factory=dict[Key, Manifest])
    answers: dict[str, str] = field(default_factory=dict[str, str])
    """Answers of pods, by URL without its scheme. Others do not answer."""
    deleted: list[Key] = field(default_factory=list[Key])
    graces: dict[Key, int | None] = field(default_factory=dict[Key, int | None])
    """Seconds to end, by deleted object."""
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, manifest: Manifest) -> Manifest:
        key = (manifest["kind"], namespace_of(manifest), name_of(manifest))
        version = next(self._versions)
        metadata = {**manifest["metadata"], "resourceVersion": str(version), "generation": version}
        self.objects[key] = {**manifest, "metadata": metadata}
        return self.objects[key]

    async def find(self, resource: ResourceKind, name: str, namespace: str | None = None) -> Manifest | None:
        return self.objects.get((resource.kind, namespace, name))

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed:
        assert not fields
        items = [
            item
            for (kind, place, _), item in self.objects.items()
            if kind == resource.kind and namespace in (None, place) and _selected(item, labels)
        ]
        return Listed(tuple(items), "1")

    async def answer_of(self, pod: str, namespace: str, port: int, path: str) -> str:
        try:
            return self.answers[f"{pod}:{port}{path}"]
        except KeyError as error:
            raise ObjectNotFound(f"pods {pod!r} not found") from error

    async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest:
        assert not dry_run
        name = name_of(manifest)
        if name in self.conflicts and not force:
            raise ObjectConflict('Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas')
        before = await self.find(resource_of(manifest), name, namespace_of(manifest))
        if before and _without_version(before) == manifest:
            return before
        return self.put(manifest)

    async def delete(
        self,
        resource: ResourceKind,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        uid: str | None = None,
    ) -> object:
        key = (resource.kind, namespace, name)
        if key not in self.objects:
            raise ObjectNotFound(f"{resource.full_name} {name!r} not found")
        self.deleted.append(key)
        self.graces[key] = grace
        del self.objects[key]
        if resource.kind == "Namespace":
            for inside in [each for each in self.objects if each[1] == name]:
                del self.objects[inside]
        return {}

    async def has(self, resource: ResourceKind) -> bool:
        if resource == POD_MONITORS:
            return self.monitors
        return resource.plural != DISRUPTION_BUDGETS.plural or resource.version == self.budgets

    async def may(self, verb: str, resource: ResourceKind, namespace: str | None = None) -> bool:
        return (verb, resource.full_name) not in self.forbidden

    async def server_version(self) -> tuple[int, int]:
        return self.version


def _without_version(item: Manifest) -> Manifest:
    given = ("resourceVersion", "generation")
    metadata: dict[str, Any] = {key: value for key, value in item["metadata"].items() if key not in given}
    return {**item, "metadata": metadata}


def _selected(item: Manifest, labels: str) -> bool:
    """Return whether an object has these labels. Knows ``a=b,c=d`` and ``a in (b,c)``."""
    present: dict[str, str] = item["metadata"].get("labels") or {}
    allowed = {
        key.strip(): (one.split(",") if one else several.split(","))
        for key, several, one in re.findall(r"([^,=()]+?)(?: in \(([^)]*)\)|=([^,]*))(?:,|$)", labels)
    }
    return all(present.get(key) in values for key, values in allowed.items())
