"""Names of a cluster's AWS resources, and its tags. Pure.

The names are known before anything exists, so that policies can name them. A name that is too long is cut
short, and ends with a digest of the whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.contract import cluster as names
from gyrus.contract.cluster import GROUP

CLUSTER_TAG = f"{GROUP}/cluster"
"""Tag of every AWS resource of a cluster: the cluster's name."""
GROUP_TAG = names.NODE_GROUP_LABELS[0]
"""Tag of a node group's resources, and label of its nodes: the group's name."""
CAPACITY_TAG = names.CAPACITY_LABEL
"""Tag of an Auto Scaling group and of its instances, and label of its nodes: spot or on-demand."""
DIGEST = 8
"""Characters of the digest in a name that was cut short."""
LONGEST_ROLE = 64
LONGEST_BUCKET = 63
LONGEST_QUEUE = 80
LONGEST_RULE = 64
ACCOUNT = 12
"""Digits of an account."""


def shortened(name: str, longest: int) -> str:
    """Return the name, or its beginning and a digest of it if it is too long.

    >>> shortened("gyrus-vision", 20), shortened("gyrus-vision-of-the-night", 20)
    ('gyrus-vision', 'gyrus-visio-b0212f9a')
    """
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    return f"{name[: longest - DIGEST - 1].rstrip('-')}-{digest}"


def base_stack(cluster: str) -> str:
    """Return the name of a cluster's base stack."""
    return f"gyrus-{cluster}"


def group_prefix(cluster: str) -> str:
    """Return the beginning of the names of a cluster's group stacks and Auto Scaling groups.

    A cluster's name has no two hyphens in a row: without them, the cluster ``a`` with the group ``b`` and the
    cluster ``a-b`` would share a name.
    """
    return f"gyrus-{cluster}--"


def group_stack(cluster: str, group: str) -> str:
    """Return the name of the stack of a node group."""
    return f"{group_prefix(cluster)}{group}"


def scaling_group(cluster: str, group: str, capacity: str) -> str:
    """Return the name of an Auto Scaling group, and of its launch template.

    ``capacity``: spot or on-demand.
    """
    return f"{group_stack(cluster, group)}.{capacity}"


def role_prefix(spec: ClusterSpec) -> str:
    """Return the beginning of the names of a cluster's roles, which are unique among all regions."""
    return shortened(f"gyrus-{spec.cluster_name}-{spec.region}", LONGEST_ROLE - len("-control-plane"))


def role_name(spec: ClusterSpec, purpose: str) -> str:
    """Return the name of a role, such as the one of the operator."""
    return f"{role_prefix(spec)}-{purpose}"


def bucket_name(spec: ClusterSpec, account: str) -> str:
    """Return the name of a cluster's bucket, which is unique among all accounts.

    ``account``: its number, or a text that stands for it.
    """
    room = LONGEST_BUCKET - len(f"--{spec.region}") - ACCOUNT
    return f"{shortened(f'gyrus-{spec.cluster_name}', room)}-{account}-{spec.region}"


def rule_prefix(cluster: str) -> str:
    """Return the beginning of the names of the rules of EventBridge."""
    return shortened(f"gyrus-{cluster}", LONGEST_RULE - len("-SpotInterruption"))


def queue_name(cluster: str) -> str:
    """Return the name of the queue with EC2's notices."""
    return shortened(f"gyrus-{cluster}", LONGEST_QUEUE)


def log_group(cluster: str) -> str:
    """Return the name of the log group of replicas, gateways and operator."""
    return f"/gyrus/{cluster}"


def control_plane_log_group(cluster: str) -> str:
    """Return the name of the log group that EKS writes to."""
    return f"/aws/eks/{cluster}/cluster"


def metrics_namespace(cluster: str) -> str:
    """Return the namespace of a cluster's metrics in CloudWatch."""
    return f"gyrus/{cluster}"


def cluster_tags(spec: ClusterSpec) -> Mapping[str, str]:
    """Return the tags of all resources of a cluster: those of cluster.yaml, and gyrus's own."""
    return {**spec.tags, CLUSTER_TAG: spec.cluster_name}


def owner_tag(cluster: str) -> str:
    """Return the key of the tag by which Kubernetes finds instances, subnets and groups of a cluster."""
    return f"kubernetes.io/cluster/{cluster}"


def logical_name(*parts: str) -> str:
    """Return a name within a template: letters and digits.

    >>> logical_name("public", "subnet", "a"), logical_name("on-demand", "group")
    ('PublicSubnetA', 'OnDemandGroup')
    """
    words = (word for part in parts for word in re.split(r"[^A-Za-z0-9]+", part) if word)
    return "".join(word[0].upper() + word[1:] for word in words)
