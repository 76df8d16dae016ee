"""The objects by which Karpenter adds nodes for the groups of a cluster.yaml. Pure.

Each node group has an EC2NodeClass and a NodePool of Karpenter's version 1. The group's Auto Scaling groups
keep its ``min_instances``, and Karpenter adds nodes up to ``max_instances``. Karpenter has no on-demand base
and no highest price of spot instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.resource_names import (
    CLUSTER_TAG,
    GROUP_TAG,
    cluster_tags,
    role_name,
    scaling_group,
)
from gyrus.cluster.aws.templates.group_stack import node_volumes
from gyrus.cluster.aws.templates.node_boot import DISK_SCRIPT, NO_BOOT, taints
from gyrus.cluster.aws.templates.roles import NODE, PURPOSES
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import NODE_CLASSES, NODE_POOLS, Manifest, ResourceKind

IMAGE = "al2023@latest"
"""Karpenter chooses the image for accelerators by the instance type."""
IDLE = "5m"
"""The time after which Karpenter ends a node that is not needed, as gyrus's own planner does."""
CAPACITY_TYPE, INSTANCE_TYPE = "karpenter.sh/capacity-type", "node.kubernetes.io/instance-type"


def karpenter_objects(spec: ClusterSpec, base: Mapping[str, str]) -> list[Manifest]:
    """Return the objects of all groups that may have more nodes than their fewest.

    ``base``: the outputs of the base stack.
    """
    return [
        manifest
        for group in spec.node_groups
        if group.max_instances > group.min_instances
        for manifest in (_node_class(spec, group, base), _node_pool(spec, group))
    ]


def object_name(group: NodeGroup) -> str:
    """Return the name of a group's NodePool and EC2NodeClass."""
    return f"gyrus-{group.name}"


def own_labels(spec: ClusterSpec) -> dict[str, str]:
    """Return the labels by which gyrus finds its NodePools and EC2NodeClasses."""
    return {"app.kubernetes.io/managed-by": names.MANAGER, CLUSTER_TAG: spec.cluster_name}


def _object(spec: ClusterSpec, group: NodeGroup, kind: ResourceKind, body: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": object_name(group), "labels": own_labels(spec)},
        "spec": body,
    }


def _node_class(spec: ClusterSpec, group: NodeGroup, base: Mapping[str, str]) -> Manifest:
    script = {"userData": DISK_SCRIPT} if group.instance_volume_type in NO_BOOT else {}
    name = {"Name": scaling_group(spec.cluster_name, group.name, "karpenter")}
    body = {
        "amiSelectorTerms": [{"alias": IMAGE}],
        "instanceProfile": role_name(spec, PURPOSES[NODE]),
        "subnetSelectorTerms": [{"id": subnet} for subnet in base["Subnets"].split(",")],
        "securityGroupSelectorTerms": [{"id": base["SecurityGroup"]}],
        "associatePublicIPAddress": spec.subnet_visibility == "public",
        "blockDeviceMappings": [_volume(volume) for volume in node_volumes(group)],
        # One hop: pods do not get the credentials of their node.
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        },
        "tags": {**cluster_tags(spec), GROUP_TAG: group.name, **name},
        **script,
    }
    return _object(spec, group, NODE_CLASSES, body)


def _volume(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume of a launch template as Karpenter writes it."""
    ebs = {key[0].lower() + key[1:]: value for key, value in mapping["Ebs"].items()}
    return {
        "deviceName": mapping["DeviceName"],
        "ebs": {**ebs, "volumeSize": f"{ebs['volumeSize']}Gi"},
    }


def _node_pool(spec: ClusterSpec, group: NodeGroup) -> Manifest:
    capacities = ["spot", "on-demand"] if group.spot else ["on-demand"]
    found = [taint.removesuffix(":NoSchedule").split("=") for taint in taints(spec, group)]
    node = {
        "nodeClassRef": {
            "group": NODE_CLASSES.group,
            "kind": NODE_CLASSES.kind,
            "name": object_name(group),
        },
        "requirements": [
            {"key": CAPACITY_TYPE, "operator": "In", "values": capacities},
            {"key": INSTANCE_TYPE, "operator": "In", "values": list(group.instance_types)},
        ],
        # Nodes are renewed by a change of the file, not by their age.
        "expireAfter": "Never",
        **(
            {"taints": [{"key": key, "value": value, "effect": "NoSchedule"} for key, value in found]}
            if found
            else {}
        ),
    }
    body = {
        "weight": group.priority,
        "template": {"metadata": {"labels": {GROUP_TAG: group.name}}, "spec": node},
        "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": IDLE},
        "limits": {"cpu": str(_cores(group))},
    }
    return _object(spec, group, NODE_POOLS, body)


def _cores(group: NodeGroup) -> int:
    """Return the most cores that Karpenter may add: those of so many of the largest instances.

    Of types whose cores are unknown, it may add fewer.
    """
    types = (known_types().get(name) for name in group.instance_types)
    largest = max((kind.vcpu for kind in types if kind), default=1)
    return (group.max_instances - group.min_instances) * largest
