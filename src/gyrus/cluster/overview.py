"""An installation as it is now: addresses, versions, parts, certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gyrus.cluster import certificates, secrets
from gyrus.cluster.addresses import ServiceAddress, address_of
from gyrus.cluster.endpoint_certificate import EndpointCertificate, endpoint_certificate
from gyrus.cluster.errors import NotInstalled
from gyrus.cluster.fields import section
from gyrus.cluster.health import Observed, PartHealth, PartProblem, parts, reasons_of
from gyrus.cluster.ports import ClusterReader, InstallationReader
from gyrus.cluster.prerequisites import helm_release, helm_upgrade
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import (
    DEPLOYMENTS,
    EVENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    VOLUME_CLAIMS,
    Manifest,
    ResourceKind,
    name_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The token by which a client uses the operator, and the authorities that it trusts, as PEM."""

    token: str
    authority: str
    """The authority of the operator's certificate, and others that it had or will have."""
    endpoint_authority: str = ""
    """The authority of the endpoints' certificate, if its Secret has one."""


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
    certificates: Mapping[str, str] = field(default_factory=dict[str, str])
    """The platform's own certificates, as PEM, by their Secrets."""
    endpoints: EndpointCertificate | None = None
    """The certificate of the endpoints. None if they have none."""

    def healthy(self, now: datetime) -> bool:
        return all(part.healthy for part in self.parts) and not self.problems(now)

    def problems(self, now: datetime) -> list[PartProblem]:
        """Return what is wrong beside the parts: addresses, Secrets, certificates that have ended."""
        found = [
            PartProblem(message=address.missing, remedy=self.address_remedy(part))
            for part, address in self._addresses.items()
            if address.missing
        ]
        if self.credentials is None:
            message = "the Secrets with the token and the certificate are missing"
            found.append(PartProblem(message=message, remedy=self.repair))
        for name, certificate in self.certificates.items():
            end = certificates.end_of(certificate)
            if end is not None and end <= now:
                message = f"the certificate of the Secret {name} ended on {end:%Y-%m-%d}"
                found.append(PartProblem(message=message, remedy=self.repair))
        if self.endpoints and (fault := self.endpoints.fault(now)):
            found.append(PartProblem(message=fault.message.removesuffix("."), remedy=fault.remedy))
        return found

    def warnings(self, now: datetime) -> list[str]:
        """Return what will be wrong: certificates that end, and should have been renewed."""
        overdue = [
            f"The certificate of the Secret {name} ends on {end:%Y-%m-%d}, and the operator has not renewed "
            f"it. {self.repair}"
            for name, certificate in self.certificates.items()
            if (end := certificates.end_of(certificate))
            and certificates.renewal_is_overdue(certificate, now)
            and now < end
        ]
        return [*overdue, *(self.endpoints.warnings(now) if self.endpoints else ())]

    def address_remedy(self, part: str) -> str:
        """Return what to do if a part's Service has no address."""
        if not self._addresses[part].exists:
            return self.repair
        setting = f"{_FIELDS[part]}: NodePort"
        return f"Wait for it. On a cluster without load balancers, set {setting} in a values file."

    @property
    def _addresses(self) -> dict[str, ServiceAddress]:
        return {names.OPERATOR: self.operator, names.GATEWAY: self.gateway}


_FIELDS = {names.OPERATOR: "operator.api.service", names.GATEWAY: "gateway.service"}
"""The setting of each part's Service."""


async def overview(cluster: InstallationReader, namespace: str) -> Overview:
    """Read an installation. Raises NotInstalled and KubernetesError."""
    deployments = await _by_name(cluster, DEPLOYMENTS, namespace)
    operator = deployments.get(names.OPERATOR)
    if operator is None:
        raise NotInstalled(
            f"gyrus is not installed in the namespace {namespace} of this cluster.",
            remedy="Install it with: gyrus cluster install, or name another namespace with --namespace.",
        )
    pods = await _by_name(cluster, PODS, namespace)
    observed = Observed(
        deployments=deployments,
        replica_sets=await _by_name(cluster, REPLICA_SETS, namespace),
        pods=pods,
        reasons=await reasons_of(cluster, namespace, pods),
        claims=await _by_name(cluster, VOLUME_CLAIMS, namespace),
        events=(await cluster.list(EVENTS, namespace)).items,
    )
    repair = _repair(operator, namespace)
    services = await _by_name(cluster, SERVICES, namespace)
    nodes = (await cluster.list(NODES)).items
    api = services.get(names.EXTERNAL_API) or services.get(names.OPERATOR)
    own = await secrets.present(cluster, namespace)
    endpoints = await endpoint_certificate(cluster, namespace, deployments.get(names.GATEWAY))
    return Overview(
        namespace=namespace,
        version=section(operator, "metadata", "labels").get("app.kubernetes.io/version", "unknown"),
        parts=parts(observed, repair),
        operator=_address(api, names.OPERATOR, nodes),
        gateway=_address(services.get(names.GATEWAY), names.GATEWAY, nodes),
        credentials=_credentials(own, endpoints),
        certificates={
            name: own[name].get(secrets.CERTIFICATE, "") for name in names.CERTIFIED if name in own
        },
        endpoints=endpoints,
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


def _credentials(
    own: Mapping[str, secrets.SecretData], endpoints: EndpointCertificate | None
) -> Credentials | None:
    token = own.get(names.OPERATOR_SECRETS, {}).get("token")
    authority = own.get(names.OPERATOR_TLS, {}).get(secrets.CA)
    if not token or not authority:
        return None
    return Credentials(
        token=token, authority=authority, endpoint_authority=endpoints.authority if endpoints else ""
    )


async def _by_name(cluster: ClusterReader, resource: ResourceKind, namespace: str) -> dict[str, Manifest]:
    return {name_of(item): item for item in (await cluster.list(resource, namespace)).items}
