"""The data of the installation's Secrets: what is there and usable stays, the rest is created."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from gyrus.cluster import certificates
from gyrus.cluster.certificates import KeyPair
from gyrus.cluster.manifests.objects import Installation, metadata
from gyrus.cluster.ports import ClusterReader
from gyrus.contract import cluster as names
from gyrus.kubernetes import resources
from gyrus.kubernetes.resources import Manifest

CA, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"
NEXT_CERTIFICATE, NEXT_KEY = "next.crt", "next.key"
"""Keys of the authority's successor, while it is trusted and does not sign yet."""
TOKENS = ("token", "requeue", "replicas")
"""Keys of the operator's secrets."""
SECRETS = (*names.CERTIFIED, names.OPERATOR_SECRETS)

SecretData = dict[str, str]
"""The data of a Secret, decoded."""


async def present(
    cluster: ClusterReader, namespace: str, wanted: Sequence[str] = SECRETS
) -> dict[str, SecretData]:
    """Return the data of the Secrets that exist, by name. Raises KubernetesError."""
    found = [await cluster.find(resources.SECRETS, name, namespace) for name in wanted]
    return {resources.name_of(secret): decoded(secret) for secret in found if secret}


def planned(present: Mapping[str, Mapping[str, str]], namespace: str, now: datetime) -> dict[str, SecretData]:
    """Return the data of each Secret, by name.

    ``present``: the data of those that exist. A token is never replaced.
    """
    tokens = present.get(names.OPERATOR_SECRETS, {})
    return {
        **certified(present, namespace, now),
        names.OPERATOR_SECRETS: {key: tokens.get(key) or secrets.token_urlsafe(32) for key in TOKENS},
    }


def certified(
    present: Mapping[str, Mapping[str, str]], namespace: str, now: datetime
) -> dict[str, SecretData]:
    """Return the data of the Secrets with certificates, by name.

    A certificate is replaced before it ends, or if it is damaged. An authority is replaced with an overlap:
    its successor is trusted before it signs, and the authority is trusted until it ends.
    """
    authority = _authority(present.get(names.AUTHORITY, {}), f"gyrus in {namespace}", now)
    signer, bundle = _pair(authority), authority[CA]
    data = {names.AUTHORITY: authority}
    for name, hosts in hosts_of(namespace).items():
        pair = _pair(present.get(name, {}))
        if not certificates.is_usable(pair, certificates.in_bundle(bundle, now), hosts, now):
            pair = certificates.issue(signer, hosts, now)
        data[name] = {CA: bundle, CERTIFICATE: pair.certificate, KEY: pair.key}
    return data


def _authority(present: Mapping[str, str], name: str, now: datetime) -> SecretData:
    """Return the data of the authority: what signs, its successor from some time on, and all to trust."""
    signer = _pair(present)
    successor = KeyPair(present.get(NEXT_CERTIFICATE, ""), present.get(NEXT_KEY, ""))
    if not certificates.is_authority(successor, now):
        successor = None
    if not certificates.is_authority(signer, now):
        signer, successor = successor or certificates.new_authority(name, now), None
    elif successor is None and certificates.needs_renewal(signer.certificate, now):
        successor = certificates.new_authority(name, now)
    elif successor and certificates.signs_now(successor.certificate, signer.certificate, now):
        signer, successor = successor, None
    pairs = [signer, *([successor] if successor else [])]
    earlier = [present.get(CERTIFICATE, ""), present.get(CA, "")]
    trusted = dict.fromkeys(
        certificate
        for text in (*(pair.certificate for pair in pairs), *earlier)
        for certificate in certificates.in_bundle(text, now)
    )
    later = {NEXT_CERTIFICATE: successor.certificate, NEXT_KEY: successor.key} if successor else {}
    return {CERTIFICATE: signer.certificate, KEY: signer.key, CA: "".join(trusted), **later}


def hosts_of(namespace: str) -> dict[str, Sequence[str]]:
    """Return the names that each certificate covers, by its Secret."""
    return {
        names.OPERATOR_TLS: (*_service_names(names.OPERATOR, namespace), "localhost", "127.0.0.1"),
        names.GATEWAY_TLS: _service_names(names.GATEWAY, namespace),
    }


def manifests(installation: Installation, data: Mapping[str, Mapping[str, str]]) -> list[Manifest]:
    """Return the Secrets with this data."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": metadata(installation, name),
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        }
        for name, values in data.items()
    ]


def decoded(secret: Manifest) -> SecretData:
    """Return the data of a Secret. What is not text in base64 counts as missing."""
    data: dict[str, str] = secret.get("data") or {}
    found: SecretData = {}
    for key, value in data.items():
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except ValueError:
            continue
    return found


def _service_names(service: str, namespace: str) -> tuple[str, ...]:
    inside = f"{service}.{namespace}.svc"
    return (service, f"{service}.{namespace}", inside, f"{inside}.cluster.local")


def _pair(data: Mapping[str, str]) -> KeyPair:
    return KeyPair(data.get(CERTIFICATE, ""), data.get(KEY, ""))
