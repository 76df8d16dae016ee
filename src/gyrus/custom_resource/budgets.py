"""The disruption budget of each API: no replica may be evicted before another one replaces it. Pure.

A drained node is cordoned first. Control then starts a replica elsewhere for each one on the node, and stops
the old one once the new one serves, while the budget refuses the eviction of the old one.
"""

from __future__ import annotations

from gyrus.contract import cluster
from gyrus.contract.cluster import API_LABEL, REPLICA_ROLE, ROLE_LABEL
from gyrus.custom_resource.api_object import ApiObject, owner_reference
from gyrus.kubernetes.resources import Manifest, ResourceKind
from gyrus.state.records import Api

PREFIX = "gyrus-api-"
"""Before an API's name in its budget's, which else could be that of another budget."""


def budget_name(api: str) -> str:
    return f"{PREFIX}{api}"


def budget(kind: ResourceKind, namespace: str, object: ApiObject, replicas: int) -> Manifest:
    """Return the budget of an API that requests this many replicas. It ends with the API's object."""
    selected = {API_LABEL: object.name, ROLE_LABEL: REPLICA_ROLE}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": budget_name(object.name),
            "namespace": namespace,
            "labels": {API_LABEL: object.name, "app.kubernetes.io/managed-by": cluster.MANAGER},
            "ownerReferences": [owner_reference(object.manifest)],
        },
        # An integer, because a percentage needs an owner with a scale, which an API is not.
        "spec": {"minAvailable": replicas, "selector": {"matchLabels": selected}},
    }


def needed_budget(
    kind: ResourceKind, namespace: str, object: ApiObject | None, api: Api | None, present: Manifest | None
) -> Manifest | None:
    """Return the budget to apply. Returns None if the present one is right, or none is needed."""
    if object is None or api is None or api.deleting:
        return None
    needed = budget(kind, namespace, object, api.replicas)
    if present is None:
        return needed
    owners = [owner.get("uid") for owner in present["metadata"].get("ownerReferences") or ()]
    same = present["spec"].get("minAvailable") == api.replicas and owners == [object.uid]
    return None if same else needed
