"""Removal of an installation: everything that its label marks, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gyrus.cluster.changes import ObjectChange, deleted, kept
from gyrus.cluster.errors import NotInstalled
from gyrus.cluster.fields import section
from gyrus.cluster.manifests.objects import HELM, INSTANCE, Installation, is_own, selector
from gyrus.cluster.ports import ClusterReader, ClusterWriter
from gyrus.cluster.prerequisites import check_manager, helm_uninstall
from gyrus.cluster.secrets import SECRETS as CREATED_SECRETS
from gyrus.contract import cluster as names
from gyrus.kubernetes.errors import ObjectConflict, ObjectNotFound
from gyrus.kubernetes.reflector import Selection
from gyrus.kubernetes.resources import (
    APIS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DAEMON_SETS,
    DEFINITIONS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    DISRUPTION_BUDGETS_BETA,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    POD_MONITORS,
    PODS,
    PRIORITY_CLASSES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    VOLUME_CLAIMS,
    KubernetesObject,
    Manifest,
    ResourceKind,
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
ALL = f"app.kubernetes.io/name=gyrus,app.kubernetes.io/managed-by in ({names.MANAGER},{HELM})"
"""Selector of the objects of every installation."""
IDLE_GRACE = 10
"""Seconds for a replica without requests to end: its hook waits 5 s for the operator, which is gone."""
DEFINITION = f"{names.PLURAL}.{names.GROUP}"


async def running_apis(cluster: ClusterReader, known: Installation) -> int:
    """Return the number of APIs that have replicas now. Raises ClusterError and KubernetesError."""
    return len(await _with_replicas(cluster, known))


async def deployed_apis(cluster: ClusterReader, known: Installation) -> int:
    """Return the number of APIs, also of those without replicas. Raises ClusterError and KubernetesError."""
    running = await _with_replicas(cluster, known)
    return len(running | {name_of(item) for item in await _listed_apis(cluster, known.namespace)})


async def _with_replicas(cluster: ClusterReader, known: Installation) -> set[str]:
    """Return the names of the APIs that have replicas now. Raises ClusterError and KubernetesError."""
    await check_installed(cluster, known)
    replicas = await cluster.list(PODS, known.namespace, labels=f"{names.ROLE_LABEL}=replica")
    return {section(pod, "metadata", "labels").get(names.API_LABEL, "") for pod in replicas.items}


async def check_installed(cluster: ClusterReader, known: Installation) -> None:
    """Raise NotInstalled if nothing of the installation is there, ManagedByHelm if it is one by Helm."""
    await check_manager(cluster, known.namespace, helm_uninstall)
    if await _owns_namespace(cluster, known):
        return
    for resource, namespace in ((DEPLOYMENTS, known.namespace), (CLUSTER_ROLES, None)):
        if (await cluster.list(resource, namespace, labels=selector(known))).items:
            return
    raise NotInstalled(
        f"gyrus is not installed in the namespace {known.namespace} of this cluster.",
        remedy="Name another one with --namespace, or another cluster with --context.",
    )


async def _owns_namespace(cluster: ClusterReader, known: Installation) -> bool:
    found = await cluster.find(NAMESPACES, known.namespace)
    return found is not None and is_own(found, known)


async def _listed_apis(cluster: ClusterReader, namespace: str | None = None) -> Sequence[Manifest]:
    """Return the APIs' objects. Empty if the cluster has no definition of them."""
    try:
        return (await cluster.list(APIS, namespace)).items
    except ObjectNotFound:
        return ()


@dataclass(frozen=True, slots=True)
class Uninstaller:
    """Removes from one cluster."""

    cluster: ClusterWriter
    report: Callable[[ObjectChange], None]
    until_gone: Callable[[Selection], Awaitable[None]]
    """Returns when no object of a selection is left, but for pods of which only the record is left."""

    async def uninstall(self, known: Installation) -> None:
        """Delete all objects of the installation, and wait until they are gone.

        Raises ClusterError and KubernetesError.
        """
        await check_installed(self.cluster, known)
        await self._stop_platform(known)
        await self._stop_replicas(known)
        await self._empty(known)
        await self._delete_outside(known)

    async def remove_created(self, known: Installation) -> None:
        """Delete what an installation by Helm has created: Helm has deleted the objects of its chart.

        Waits until no operator is left, which would replace the replicas. Raises ClusterError and
        KubernetesError.
        """
        await self._await_pods(known, f"{names.ROLE_LABEL} in (operator,gateway)")
        await self._stop_replicas(known)
        await self._delete(VOLUME_CLAIMS, names.DATA, known.namespace)
        for name in CREATED_SECRETS:
            await self._delete(SECRETS, name, known.namespace)
        await self._delete(LEASES, names.OPERATOR, known.namespace)
        await self._delete_definition(known)

    async def _stop_platform(self, known: Installation) -> None:
        """End the operator before the replicas, since it would replace them, and all other pods but these."""
        for resource in (DEPLOYMENTS, DAEMON_SETS):
            await self._delete_marked(resource, known.namespace, selector(known))
        await self._await_pods(known, f"{names.ROLE_LABEL} in (operator,gateway,{names.CACHE_ROLE})")

    async def _stop_replicas(self, known: Installation) -> None:
        """End the replicas, which have no requests any more: the gateways have ended before.

        Their APIs' objects go last, since the cluster would then end each pod with its own, longer grace.
        """
        replicas = f"{names.ROLE_LABEL} in (replica,builder)"
        await self._delete_marked(PODS, known.namespace, replicas, grace=IDLE_GRACE)
        for item in await _listed_apis(self.cluster, known.namespace):
            await self._delete(APIS, name_of(item), known.namespace)
        await self._await_pods(known, replicas)

    async def _await_pods(self, known: Installation, labels: str) -> None:
        """Wait until nothing of these pods runs, and remove the records, which some nodes keep for long."""
        await self.until_gone(Selection(resource=PODS, namespace=known.namespace, labels=labels))
        for found in (await self.cluster.list(PODS, known.namespace, labels=labels)).items:
            record = KubernetesObject(found)
            if record.finished:
                with suppress(ObjectNotFound, ObjectConflict):
                    await self.cluster.delete(PODS, record.name, known.namespace, grace=0, uid=record.uid)

    async def _empty(self, known: Installation) -> None:
        """Delete the namespace, or the rest of what is gyrus's own in it.

        A namespace with pods ends late: the cluster looks again after half of their time to stop.
        """
        if await _owns_namespace(self.cluster, known):
            await self._delete(NAMESPACES, known.namespace)
            named = f"metadata.name={known.namespace}"
            await self.until_gone(Selection(resource=NAMESPACES, fields=named))
        else:
            await self._empty_namespace(known)

    async def _delete_outside(self, known: Installation) -> None:
        """Delete the objects outside the namespace.

        A namespace ends late if a definition vanishes meanwhile, so this comes last.
        """
        for resource in CLUSTER_WIDE:
            await self._delete_marked(resource, None, selector(known))
        await self._delete_definition(known)

    async def _empty_namespace(self, known: Installation) -> None:
        """Delete what is gyrus's own in a namespace that was there before."""
        place = known.namespace
        has_budgets = await self.cluster.has(DISRUPTION_BUDGETS)
        budgets = DISRUPTION_BUDGETS if has_budgets else DISRUPTION_BUDGETS_BETA
        monitors = (POD_MONITORS,) if await self.cluster.has(POD_MONITORS) else ()
        for resource in (*NAMESPACED, *monitors, budgets):
            await self._delete_marked(resource, place, selector(known))
        await self._delete(LEASES, names.OPERATOR, place)
        self.report(kept(NAMESPACES, place, "it was there before"))

    async def _delete_definition(self, known: Installation) -> None:
        """Delete the definition, which all installations share, if this one was the last."""
        others = [
            role["metadata"]["labels"][INSTANCE]
            for role in (await self.cluster.list(CLUSTER_ROLES, labels=ALL)).items
            if role["metadata"]["labels"].get(INSTANCE) != known.namespace
        ]
        if others:
            self.report(kept(DEFINITIONS, DEFINITION, f"in use by gyrus in {', '.join(sorted(set(others)))}"))
        elif left := await self._apis_elsewhere():
            self.report(kept(DEFINITIONS, DEFINITION, f"there are APIs in {', '.join(left)}"))
        else:
            await self._delete(DEFINITIONS, DEFINITION)

    async def _apis_elsewhere(self) -> list[str]:
        """Return the namespaces with APIs that no operator serves any more: the definition has their data."""
        return sorted({str(item["metadata"]["namespace"]) for item in await _listed_apis(self.cluster)})

    async def _delete_marked(
        self, resource: ResourceKind, namespace: str | None, labels: str, *, grace: int | None = None
    ) -> None:
        listed = await self.cluster.list(resource, namespace, labels=labels)
        for item in listed.items:
            await self._delete(resource, name_of(item), namespace, grace=grace)

    async def _delete(
        self, resource: ResourceKind, name: str, namespace: str | None = None, *, grace: int | None = None
    ) -> None:
        try:
            await self.cluster.delete(resource, name, namespace, grace=grace)
        except ObjectNotFound:
            return
        self.report(deleted(resource, name, namespace))
