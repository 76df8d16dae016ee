"""Fields of pods for the scheduler: spread over nodes and zones, and the end of pods of a lost node. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gyrus.kubernetes.resources import Manifest

ZONE = "topology.kubernetes.io/zone"
NODE = "kubernetes.io/hostname"
EVICTED_AFTER = 30
"""Seconds after which a pod of a node that does not answer is given up."""


def spread_over_nodes(labels: Mapping[str, str], *, alike_in: Sequence[str] = ()) -> list[Manifest]:
    """Return the wish to spread the pods with these labels evenly over nodes.

    ``alike_in``: keys of labels; only pods with the same values as the new one count.

    Zones are no second constraint: the scheduler's score leaves out every node that lacks the label of one
    of the constraints, so that on a cluster without zones nothing would be spread. See
    :func:`spread_over_zones`.
    """
    alike = {"matchLabelKeys": [*alike_in]} if alike_in else {}
    return [
        {
            "maxSkew": 1,
            "topologyKey": NODE,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
            **alike,
        }
    ]


def spread_over_zones(labels: Mapping[str, str]) -> Manifest:
    """Return the affinity of pods with these labels that prefers zones without them."""
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": dict(labels)}}
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }


def tolerations_of_lost_nodes() -> list[Manifest]:
    """Return the tolerations by which a pod stays on a lost node for :data:`EVICTED_AFTER` seconds.

    Kubernetes' default is 300 seconds.
    """
    return [
        {
            "key": f"node.kubernetes.io/{fault}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": EVICTED_AFTER,
        }
        for fault in ("not-ready", "unreachable")
    ]
