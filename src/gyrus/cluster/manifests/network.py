"""The network policies: which pods may connect to which."""

from __future__ import annotations

from gyrus.cluster.manifests.objects import Installation, metadata, role_selector
from gyrus.contract import cluster as names
from gyrus.contract.pods import METRICS_PORT
from gyrus.kubernetes.resources import Manifest

REPLICA, BUILDER, OPERATOR, GATEWAY = "replica", "builder", "operator", "gateway"
CACHE = names.CACHE_ROLE


def network_policies(installation: Installation) -> list[Manifest]:
    """Return a policy for each role; none if the settings turn them off."""
    if not installation.settings.network_policies:
        return []
    return [
        _policy(
            installation,
            names.OPERATOR,
            OPERATOR,
            _ingress([names.API_PORT, names.MONITORING_PORT]),  # a token, or counts alone
            _ingress([names.XDS_PORT, names.ACTIVATOR_PORT], GATEWAY),
            _ingress([names.FILES_PORT], REPLICA, BUILDER),
        ),
        _policy(installation, names.GATEWAY, GATEWAY, _ingress([*_requests(installation), names.ADMIN_PORT])),
        _policy(
            installation,
            names.REPLICA,
            REPLICA,
            _ingress([], GATEWAY, OPERATOR),
            _ingress([METRICS_PORT]),
        ),
        _policy(installation, "gyrus-builder", BUILDER),
        *([_policy(installation, names.NODE_CACHE, CACHE)] if installation.settings.node_cache else []),
    ]


def _requests(installation: Installation) -> list[int]:
    """Return the gateways' ports for clients."""
    tls = installation.settings.gateway.tls
    if tls is None:
        return [names.GATEWAY_PORT]
    return [names.GATEWAY_TLS_PORT, names.REDIRECT_PORT if tls.http == "redirect" else names.GATEWAY_PORT]


def _policy(installation: Installation, name: str, role: str, *ingress: Manifest) -> Manifest:
    """Return the policy of a role: without a rule, no connection to its pods is allowed."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(installation, name),
        "spec": {
            "podSelector": {"matchLabels": role_selector(role)},
            "policyTypes": ["Ingress"],
            **({"ingress": list(ingress)} if ingress else {}),
        },
    }


def _ingress(ports: list[int], *roles: str) -> Manifest:
    """Return a rule. Without ``ports`` it allows all ports, without ``roles`` all clients."""
    numbers = {"ports": [{"port": number, "protocol": "TCP"} for number in ports]} if ports else {}
    clients = {"from": [{"podSelector": {"matchLabels": role_selector(role)}} for role in roles]}
    return {**numbers, **(clients if roles else {})}
