"""All objects of an installation but its Secrets, in the order in which they are applied."""

from __future__ import annotations

from gyrus.cluster.manifests import (
    access,
    definition,
    foundation,
    gateway,
    monitoring,
    network,
    node_cache,
    operator,
)
from gyrus.cluster.manifests.objects import Installation
from gyrus.kubernetes.resources import Manifest


def foundations(installation: Installation) -> list[Manifest]:
    """Return what has to exist before anything else: the namespace and the custom resource's definition."""
    return [foundation.namespace(installation), definition.custom_resource_definition(installation)]


def services(installation: Installation) -> list[Manifest]:
    """Return the Services, from whose addresses the operator's settings follow."""
    return [*operator.services(installation), gateway.service(installation)]


def platform(installation: Installation) -> list[Manifest]:
    """Return the other objects. Each one comes after those that it names."""
    return [
        *foundation.priority_classes(installation),
        *access.service_accounts(installation),
        *access.roles(installation),
        *operator.volume_claims(installation),
        *node_cache.daemon_sets(installation),
        *network.network_policies(installation),
        *monitoring.pod_monitors(installation),
        gateway.disruption_budget(installation),
        *operator.disruption_budgets(installation),
        operator.deployment(installation),
        gateway.deployment(installation),
    ]
