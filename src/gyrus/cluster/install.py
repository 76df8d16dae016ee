"""Installation: check, apply, prune. Idempotent: a second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gyrus.cluster import secrets
from gyrus.cluster.addresses import address_of
from gyrus.cluster.changes import ObjectChange, applied, deleted, kept
from gyrus.cluster.endpoint_certificate import read_endpoint_certificate
from gyrus.cluster.errors import FieldConflict, MissingDefinition, MissingStore
from gyrus.cluster.manifests import definition, foundation
from gyrus.cluster.manifests.installation import foundations, platform, services
from gyrus.cluster.manifests.objects import SPREADS_BY_TEMPLATE, Installation, is_own, selector
from gyrus.cluster.ports import ClusterWriter
from gyrus.cluster.prerequisites import (
    Right,
    check_manager,
    check_rights,
    check_version,
    helm_upgrade,
    rights_to_apply,
)
from gyrus.cluster.refusals import refusal
from gyrus.contract import cluster as names
from gyrus.kubernetes.errors import ObjectConflict, ObjectInvalid, ObjectRefused
from gyrus.kubernetes.resources import (
    DAEMON_SETS,
    DISRUPTION_BUDGETS,
    DISRUPTION_BUDGETS_BETA,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    POD_MONITORS,
    SECRETS,
    SERVICES,
    Manifest,
    ResourceKind,
    name_of,
    resource_of,
)

PRUNED = (NETWORK_POLICIES, SERVICES, DAEMON_SETS)
"""Kinds of objects that settings turn off. Volumes are not among them: their data would be lost."""

ReportChange = Callable[[ObjectChange], None]


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs into one cluster."""

    cluster: ClusterWriter
    report: ReportChange
    """Called after each object."""
    force: bool = False
    """Take over fields that another manager owns."""

    async def install(self, wanted: Installation, now: datetime) -> None:
        """Create what is missing, change what differs, remove what the settings no longer ask for.

        Raises ClusterError and KubernetesError.
        """
        await check_version(self.cluster)
        known = await adapted(self.cluster, wanted)
        await self._check_monitoring(known)
        await self._check_rights(known)
        await check_manager(self.cluster, wanted.namespace, helm_upgrade)
        await self._check_store(known)
        await self._check_endpoint_certificate(known, now)
        await self._apply_namespace(known)
        await self.prepare(known, now)
        await self._apply(services(known))
        complete = replace(
            known,
            gateway_url=known.settings.gateway.url or await self._gateway_url(known),
        )
        await self._apply(platform(complete))
        await self._prune(complete)

    async def _check_monitoring(self, known: Installation) -> None:
        if known.settings.pod_monitor and not await self.cluster.has(POD_MONITORS):
            raise MissingDefinition(
                f"The cluster does not know {POD_MONITORS.full_name}, which pod_monitor: true asks for.",
                remedy="Install the Prometheus Operator first, or remove pod_monitor from the values file: "
                "the pods have the annotations prometheus.io/scrape, too.",
            )

    async def prepare(self, known: Installation, now: datetime) -> None:
        """Apply what comes before everything else in a namespace: the definition and the Secrets.

        Raises ClusterError and KubernetesError.
        """
        await self._apply([definition.custom_resource_definition(known)])
        data = secrets.planned(await secrets.present(self.cluster, known.namespace), known.namespace, now)
        await self._apply(secrets.manifests(known, data))

    async def _check_rights(self, known: Installation) -> None:
        empty: dict[str, dict[str, str]] = {name: {} for name in secrets.SECRETS}
        manifests = [
            *foundations(known),
            *secrets.manifests(known, empty),
            *services(known),
            *platform(known),
        ]
        pruned = (*await self._pruned(), _budgets(known))
        pruning = [Right(verb, kind, known.namespace) for kind in pruned for verb in ("list", "delete")]
        rights = [*rights_to_apply(manifests), *pruning, Right("list", NODES, None)]
        await check_rights(self.cluster, rights, "the installation")

    async def _check_store(self, known: Installation) -> None:
        """Raise MissingStore if the Secret of the operators' database is not there."""
        store = known.settings.operator.store
        if store is None:
            return
        found = await self.cluster.find(SECRETS, store.secret, known.namespace)
        if found and store.key in (found.get("data") or {}):
            return
        fault = f"lacks the key {store.key}" if found else "does not exist"
        first = "" if found else f"kubectl create namespace {known.namespace}, unless it exists, and then: "
        raise MissingStore(
            f"The Secret {store.secret} of operator.store {fault} in the namespace {known.namespace}.",
            remedy=f"Run: {first}kubectl create secret generic {store.secret} --namespace {known.namespace} "
            f"--from-literal={store.key}=postgresql://USER:PASSWORD@HOST/DATABASE",
        )

    async def _check_endpoint_certificate(self, known: Installation, now: datetime) -> None:
        """Raise BadEndpointCertificate if the gateways cannot use the Secret of their certificate."""
        tls = known.settings.gateway.tls
        if tls is None:
            return
        found = await read_endpoint_certificate(self.cluster, known.namespace, tls.secret)
        if fault := found.fault(now):
            raise fault

    async def _gateway_url(self, known: Installation) -> str:
        """Return the URL of the gateways' Service. Empty if it has no address yet."""
        service = await self.cluster.find(SERVICES, names.GATEWAY, known.namespace)
        nodes = sorted((await self.cluster.list(NODES)).items, key=name_of)
        address = address_of(service, nodes) if service else None
        return address.endpoints if address and not address.missing else ""

    async def _apply_namespace(self, known: Installation) -> None:
        """Apply the namespace. One that was there before stays as it is."""
        before = await self.cluster.find(NAMESPACES, known.namespace)
        if before is None or is_own(before, known):
            await self._apply([foundation.namespace(known)])
        else:
            self.report(kept(NAMESPACES, known.namespace, "it was there before"))

    async def _apply(self, manifests: Sequence[Manifest]) -> None:
        for manifest in manifests:
            metadata = manifest["metadata"]
            before = await self.cluster.find(
                resource_of(manifest), metadata["name"], metadata.get("namespace")
            )
            try:
                after = await self.cluster.apply(manifest, force=self.force)
            except ObjectConflict as error:
                raise FieldConflict(
                    f"{manifest['kind']} {metadata['name']} has fields that another manager owns: {error}.",
                    remedy="Undo the other manager's change, or take the fields over with --force.",
                ) from error
            except (ObjectInvalid, ObjectRefused) as error:
                raise refusal(manifest, error) from error
            self.report(applied(before, after))

    async def _pruned(self) -> tuple[ResourceKind, ...]:
        return (*PRUNED, POD_MONITORS) if await self.cluster.has(POD_MONITORS) else PRUNED

    async def _prune(self, known: Installation) -> None:
        """Delete the objects of an earlier installation that this one lacks."""
        desired = {(each["kind"], each["metadata"]["name"]) for each in (*services(known), *platform(known))}
        operators = f"{names.ROLE_LABEL}={names.OPERATOR_ROLE}"
        for resource, labels in (
            *((each, "") for each in await self._pruned()),
            (_budgets(known), operators),
        ):
            selected = ",".join(filter(None, (selector(known), labels)))
            listed = await self.cluster.list(resource, known.namespace, labels=selected)
            for item in listed.items:
                if (resource.kind, name_of(item)) not in desired:
                    await self.cluster.delete(resource, name_of(item), known.namespace)
                    self.report(deleted(resource, name_of(item), known.namespace))


def _budgets(known: Installation) -> ResourceKind:
    """Return the version of PodDisruptionBudgets that the cluster has."""
    both = (DISRUPTION_BUDGETS, DISRUPTION_BUDGETS_BETA)
    return next(each for each in both if each.api_version == known.budget_version)


async def adapted(cluster: ClusterWriter, wanted: Installation) -> Installation:
    """Return the installation with the API versions and the fields that this cluster has."""
    budgets = DISRUPTION_BUDGETS if await cluster.has(DISRUPTION_BUDGETS) else DISRUPTION_BUDGETS_BETA
    newer = await cluster.server_version() >= SPREADS_BY_TEMPLATE
    return replace(wanted, budget_version=budgets.api_version, spreads_by_template=newer)
