"""The policies of AWS and of cluster.yaml that a cluster's roles have. Pure."""

from __future__ import annotations

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.regions import partition_of

AWS_POLICIES = {
    "control-plane": ("AmazonEKSClusterPolicy",),
    "node": ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"),
    "network": ("AmazonEKS_CNI_Policy",),
    "volumes": ("service-role/AmazonEBSCSIDriverPolicy",),
}
"""The policies of AWS, by the purpose of the role."""
OPERATOR, REPLICA = "operator", "replica"


def attached_policies(spec: ClusterSpec, purpose: str) -> list[str]:
    """Return the ARNs of the policies of the role with this purpose."""
    prefix = f"arn:{partition_of(spec.region)}:iam::aws:policy"
    own = spec.iam_policy_arns if purpose in (REPLICA, OPERATOR) else ()
    return [*(f"{prefix}/{name}" for name in AWS_POLICIES.get(purpose, ())), *own]


def every_attached_policy(spec: ClusterSpec) -> list[str]:
    return [arn for purpose in (*AWS_POLICIES, REPLICA) for arn in attached_policies(spec, purpose)]
