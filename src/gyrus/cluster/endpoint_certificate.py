"""The certificate of the endpoints: a Secret that the user, or cert-manager, owns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gyrus.cluster import certificates
from gyrus.cluster.certificates import KeyPair
from gyrus.cluster.errors import BadEndpointCertificate
from gyrus.cluster.fields import entries
from gyrus.cluster.manifests.gateway import ENDPOINT_TLS
from gyrus.cluster.ports import ClusterReader
from gyrus.cluster.secrets import CA, CERTIFICATE, KEY, SecretData, decoded
from gyrus.kubernetes.resources import SECRETS, Manifest

SOON = timedelta(days=14)
"""Time before its end from which health warns: cert-manager and others renew earlier than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCertificate:
    """The Secret of ``gateway.tls``."""

    secret: str
    namespace: str
    data: SecretData | None
    """Its content. None if it does not exist."""

    @property
    def authority(self) -> str:
        """The authority that issued the certificate, as PEM, if the Secret has it."""
        return (self.data or {}).get(CA, "")

    def fault(self, now: datetime) -> BadEndpointCertificate | None:
        """Return why the gateways cannot use it. Returns None if they can."""
        if self.data is None:
            return self._bad("does not exist", f"Create it: {self._creation}")
        missing = [key for key in (CERTIFICATE, KEY) if not self.data.get(key)]
        if missing:
            return self._bad(f"lacks {' and '.join(missing)}", f"Replace it: {self._creation}")
        certificate, key = self.data[CERTIFICATE], self.data[KEY]
        end = certificates.end_of(certificate)
        if end is None:
            return self._bad(f"has no certificate in PEM in {CERTIFICATE}", f"Replace it: {self._creation}")
        if not certificates.belong_together(KeyPair(certificate, key)):
            return self._bad(
                f"has a key in {KEY} that does not belong to the certificate in {CERTIFICATE}",
                f"Replace both: {self._creation}",
            )
        if end <= now:
            return self._bad(f"has a certificate that ended on {end:%Y-%m-%d}", f"Renew it: {self._creation}")
        return None

    def warnings(self, now: datetime) -> list[str]:
        """Return whether it ends soon, as sentences."""
        end = certificates.end_of((self.data or {}).get(CERTIFICATE, ""))
        if end is None or not now < end <= now + SOON:
            return []
        return [f"The certificate of gateway.tls ends on {end:%Y-%m-%d}. Renew the Secret {self.secret}."]

    def _bad(self, fault: str, remedy: str) -> BadEndpointCertificate:
        message = f"The Secret {self.secret} of gateway.tls {fault} in the namespace {self.namespace}."
        return BadEndpointCertificate(message, remedy=remedy)

    @property
    def _creation(self) -> str:
        return (
            f"kubectl create secret tls {self.secret} --namespace {self.namespace} --cert=FILE --key=FILE, "
            "or let cert-manager write it"
        )


async def endpoint_certificate(
    cluster: ClusterReader, namespace: str, gateways: Manifest | None
) -> EndpointCertificate | None:
    """Return the certificate that these gateways use. Returns None if their endpoints have none."""
    volumes = entries(gateways or {}, "spec", "template", "spec", "volumes")
    secret = next((each["secret"]["secretName"] for each in volumes if each["name"] == ENDPOINT_TLS), None)
    return await read_endpoint_certificate(cluster, namespace, secret) if secret else None


async def read_endpoint_certificate(
    cluster: ClusterReader, namespace: str, secret: str
) -> EndpointCertificate:
    """Return the certificate of this Secret. Raises KubernetesError."""
    found = await cluster.find(SECRETS, secret, namespace)
    return EndpointCertificate(secret=secret, namespace=namespace, data=decoded(found) if found else None)
