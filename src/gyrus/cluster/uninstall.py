"""Removal of an installation: everything that its label marks, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyrus.cluster.changes import ObjectChange, deleted, kept
from gyrus.cluster.errors import NotInstalled
from gyrus.cluster.manifests.objects import INSTANCE, Installation, is_own, selector
from gyrus.cluster.ports import ClusterWriter
from gyrus.contract import cluster as names
from gyrus.kubernetes.errors import NotFound
from gyrus.kubernetes.resources import (
    APIS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DEFINITIONS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    DISRUPTION_BUDGETS_BETA,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    PRIORITY_CLASSES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    VOLUME_CLAIMS,
    Resource,
    name_of,
)

NAMESPACED = (
    NETWORK_POLICIES,
    SERVICES,
    SECRETS,
    VOLUME_CLAIMS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
)
"""Kinds to delete in a namespace that stays."""
CLUSTER_WIDE = (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, PRIORITY_CLASSES)
ALL = f"app.kubernetes.io/name=gyrus,app.kubernetes.io/managed-by={names.MANAGER}"
"""Selector of the objects of every installation."""
DEFINITION = f"{names.PLURAL}.{names.GROUP}"


@dataclass(frozen=True, slots=True)
class Uninstaller:
    """Removes from one cluster."""

    cluster: ClusterWriter
    report: Callable[[ObjectChange], None]

    async def apis(self, known: Installation) -> int:
        """Return the number of APIs that would go. Raises NotInstalled and KubernetesError."""
        await self._check(known)
        try:
            return len((await self.cluster.list(APIS, known.namespace)).items)
        except NotFound:  # the definition is gone already
            return 0

    async def stop(self, known: Installation) -> None:
        """Delete operator, gateways, APIs and their pods, which take a while to end.

        The operator goes first, so that it starts nothing again. Raises NotInstalled and KubernetesError.
        """
        await self._check(known)
        await self._delete_marked(DEPLOYMENTS, known.namespace, selector(known))
        try:
            await self._delete_marked(APIS, known.namespace, "")
        except NotFound:  # the definition is gone already
            pass
        await self._delete_marked(PODS, known.namespace, f"{names.ROLE_LABEL} in (replica,builder)")

    async def empty(self, known: Installation) -> None:
        """Delete the namespace, or the rest of what is gyrus's own in it. Call it when no pod is left.

        A namespace with pods ends late: the cluster looks again after half of their time to stop.
        """
        if await self._is_own_namespace(known):
            await self._delete(NAMESPACES, known.namespace)
        else:
            await self._empty_namespace(known)

    async def finish(self, known: Installation) -> None:
        """Delete the objects outside the namespace. Call it when the namespace is gone or empty.

        A namespace ends late if a definition vanishes meanwhile. Raises KubernetesError.
        """
        for resource in CLUSTER_WIDE:
            await self._delete_marked(resource, None, selector(known))
        await self._delete_definition(known)

    async def _is_own_namespace(self, known: Installation) -> bool:
        found = await self.cluster.find(NAMESPACES, known.namespace)
        return found is not None and is_own(found, known)

    async def _check(self, known: Installation) -> None:
        """Raise NotInstalled if nothing of the installation is there."""
        if await self._is_own_namespace(known):
            return
        for resource, namespace in ((DEPLOYMENTS, known.namespace), (CLUSTER_ROLES, None)):
            if (await self.cluster.list(resource, namespace, labels=selector(known))).items:
                return
        raise NotInstalled(
            f"gyrus is not installed in the namespace {known.namespace} of this cluster.",
            remedy="Name another one with --namespace, or another cluster with --context.",
        )

    async def _empty_namespace(self, known: Installation) -> None:
        """Delete what is gyrus's own in a namespace that was there before."""
        place = known.namespace
        has_budgets = await self.cluster.has(DISRUPTION_BUDGETS)
        budgets = DISRUPTION_BUDGETS if has_budgets else DISRUPTION_BUDGETS_BETA
        for resource in (*NAMESPACED, budgets):
            await self._delete_marked(resource, place, selector(known))
        await self._delete_marked(LEASES, place, selector(known))
        self.report(kept(NAMESPACES, place, "it was there before"))

    async def _delete_definition(self, known: Installation) -> None:
        """Delete the definition, which all installations share, if this one was the last."""
        others = [
            role["metadata"]["labels"][INSTANCE]
            for role in (await self.cluster.list(CLUSTER_ROLES, labels=ALL)).items
            if not is_own(role, known)
        ]
        if others:
            used = f"the installation in {', '.join(others)} uses it"
            self.report(kept(DEFINITIONS, DEFINITION, used))
        elif left := await self._apis_elsewhere():
            self.report(kept(DEFINITIONS, DEFINITION, f"there are APIs in {', '.join(left)}"))
        else:
            await self._delete(DEFINITIONS, DEFINITION)

    async def _apis_elsewhere(self) -> list[str]:
        """Return the namespaces with APIs that no operator serves any more: the definition has their data."""
        try:
            listed = await self.cluster.list(APIS)
        except NotFound:
            return []
        return sorted({str(item["metadata"]["namespace"]) for item in listed.items})

    async def _delete_marked(self, resource: Resource, namespace: str | None, labels: str) -> None:
        listed = await self.cluster.list(resource, namespace, labels=labels)
        for item in listed.items:
            await self._delete(resource, name_of(item), namespace)

    async def _delete(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        try:
            await self.cluster.delete(resource, name, namespace)
        except NotFound:
            return
        self.report(deleted(resource, name, namespace))
