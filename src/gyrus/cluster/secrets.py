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
TOKENS = ("token", "requeue", "replicas")
"""Keys of the operator's secrets."""
SECRETS = (names.AUTHORITY, names.OPERATOR_TLS, names.GATEWAY_TLS, names.OPERATOR_SECRETS)

SecretData = dict[str, str]
"""The data of a Secret, decoded."""


async def present(cluster: ClusterReader, namespace: str) -> dict[str, SecretData]:
    """Return the data of the Secrets that exist, by name. Raises KubernetesError."""
    found = [await cluster.find(resources.SECRETS, name, namespace) for name in SECRETS]
    return {resources.name_of(secret): decoded(secret) for secret in found if secret}


def planned(present: Mapping[str, Mapping[str, str]], namespace: str, now: datetime) -> dict[str, SecretData]:
    """Return the data of each Secret, by name.

    ``present``: the data of those that exist. A certificate is replaced before it ends, or if it is damaged,
    or if its authority is replaced; a token is never replaced.
    """
    authority = _pair(present.get(names.AUTHORITY, {}))
    if not certificates.is_usable_authority(authority, now):
        authority = certificates.new_authority(f"gyrus in {namespace}", now)
    data = {names.AUTHORITY: {CERTIFICATE: authority.certificate, KEY: authority.key}}
    for name, hosts in hosts_of(namespace).items():
        pair = _pair(present.get(name, {}))
        if not certificates.is_usable(pair, authority, hosts, now):
            pair = certificates.issue(authority, hosts, now)
        data[name] = {CA: authority.certificate, CERTIFICATE: pair.certificate, KEY: pair.key}
    tokens = present.get(names.OPERATOR_SECRETS, {})
    data[names.OPERATOR_SECRETS] = {key: tokens.get(key) or secrets.token_urlsafe(32) for key in TOKENS}
    return data


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


def certificate_digests(data: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the digest of each certificate, by its Secret, for the pods that use it."""
    return {
        name: certificates.digest(data[name][CERTIFICATE]) for name in (names.OPERATOR_TLS, names.GATEWAY_TLS)
    }


def _service_names(service: str, namespace: str) -> tuple[str, ...]:
    inside = f"{service}.{namespace}.svc"
    return (service, f"{service}.{namespace}", inside, f"{inside}.cluster.local")


def _pair(data: Mapping[str, str]) -> KeyPair:
    return KeyPair(data.get(CERTIFICATE, ""), data.get(KEY, ""))
