"""An installation as it is now: addresses, versions, parts, certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gyrus.cluster import certificates, secrets
from gyrus.cluster.addresses import ServiceAddress, address_of
from gyrus.cluster.errors import NotInstalled
from gyrus.cluster.fields import section
from gyrus.cluster.health import Observed, PartHealth, PartProblem, parts
from gyrus.cluster.ports import ClusterReader
from gyrus.cluster.prerequisites import helm_release, helm_upgrade
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import (
    DEPLOYMENTS,
    EVENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    VOLUME_CLAIMS,
    Manifest,
    ResourceKind,
    name_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Token and certificate by which a client uses the operator."""

    token: str
    certificate: str
    """The operator's certificate, as PEM."""

    @property
    def ends_at(self) -> datetime | None:
        """The time at which the certificate ends."""
        return certificates.end_of(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One installation."""

    namespace: str
    version: str
    """The version of gyrus that was installed."""
    parts: Sequence[PartHealth]
    operator: ServiceAddress
    gateway: ServiceAddress
    credentials: Credentials | None
    """The content of the Secrets; None if they do not exist."""
    repair: str
    """A sentence with the command that creates what is missing, and renews what ends soon."""

    @property
    def healthy(self) -> bool:
        return all(part.healthy for part in self.parts) and not self.problems()

    def problems(self) -> list[PartProblem]:
        """Return what is wrong beside the parts: addresses and Secrets."""
        found = [
            PartProblem(message=address.missing, remedy=self.address_remedy(part))
            for part, address in self._addresses.items()
            if address.missing
        ]
        if self.credentials is None:
            message = "the Secrets with the token and the certificate are missing"
            found.append(PartProblem(message=message, remedy=self.repair))
        return found

    def address_remedy(self, part: str) -> str:
        """Return what to do if a part's Service has no address."""
        if not self._addresses[part].exists:
            return self.repair
        setting = f"{_FIELDS[part]}: NodePort"
        return f"Wait for it. On a cluster without load balancers, set {setting} in a values file."

    @property
    def _addresses(self) -> dict[str, ServiceAddress]:
        return {names.OPERATOR: self.operator, names.GATEWAY: self.gateway}

    def expiring(self, now: datetime) -> bool:
        """Return whether the certificate ends within the time of its renewal."""
        ends_at = self.credentials.ends_at if self.credentials else None
        return ends_at is not None and now >= ends_at - certificates.RENEWAL


_FIELDS = {names.OPERATOR: "operator.api.service", names.GATEWAY: "gateway.service"}
"""The setting of each part's Service."""


async def overview(cluster: ClusterReader, namespace: str) -> Overview:
    """Read an installation. Raises NotInstalled and KubernetesError."""
    deployments = await _by_name(cluster, DEPLOYMENTS, namespace)
    operator = deployments.get(names.OPERATOR)
    if operator is None:
        raise NotInstalled(
            f"gyrus is not installed in the namespace {namespace} of this cluster.",
            remedy="Install it with: gyrus cluster install, or name another namespace with --namespace.",
        )
    observed = Observed(
        deployments=deployments,
        replica_sets=await _by_name(cluster, REPLICA_SETS, namespace),
        pods=await _by_name(cluster, PODS, namespace),
        claims=await _by_name(cluster, VOLUME_CLAIMS, namespace),
        events=(await cluster.list(EVENTS, namespace)).items,
    )
    repair = _repair(operator, namespace)
    services = await _by_name(cluster, SERVICES, namespace)
    nodes = (await cluster.list(NODES)).items
    api = services.get(names.EXTERNAL_API) or services.get(names.OPERATOR)
    return Overview(
        namespace=namespace,
        version=section(operator, "metadata", "labels").get("app.kubernetes.io/version", "unknown"),
        parts=parts(observed, repair),
        operator=_address(api, names.OPERATOR, nodes),
        gateway=_address(services.get(names.GATEWAY), names.GATEWAY, nodes),
        credentials=await _credentials(cluster, namespace),
        repair=repair,
    )


def _repair(operator: Manifest, namespace: str) -> str:
    """Return how to apply the installation again: by Helm if Helm has installed it."""
    release = helm_release(operator)
    if release is None:
        return f"Run again, with the same values file: gyrus cluster install --namespace {namespace}"
    return f"Run again, with the same values: {helm_upgrade(release, namespace)}"


def _address(service: Manifest | None, name: str, nodes: Sequence[Manifest]) -> ServiceAddress:
    if service is None:
        missing = f"the Service {name} does not exist"
        return ServiceAddress("", 0, False, missing, exists=False)
    return address_of(service, nodes)


async def _credentials(cluster: ClusterReader, namespace: str) -> Credentials | None:
    tokens = await cluster.find(SECRETS, names.OPERATOR_SECRETS, namespace)
    pair = await cluster.find(SECRETS, names.OPERATOR_TLS, namespace)
    token = secrets.decoded(tokens).get("token") if tokens else None
    certificate = secrets.decoded(pair).get(secrets.CERTIFICATE) if pair else None
    return Credentials(token=token, certificate=certificate) if token and certificate else None


async def _by_name(cluster: ClusterReader, resource: ResourceKind, namespace: str) -> dict[str, Manifest]:
    return {name_of(item): item for item in (await cluster.list(resource, namespace)).items}
