"""The roles of a cluster: their policies, and the programs that may assume them. Pure."""

from __future__ import annotations

from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.policies.attached import attached_policies
from gyrus.cluster.aws.policies.operator import operator_statements
from gyrus.cluster.aws.policies.statement import VERSION, PolicyScope, policy_document
from gyrus.cluster.aws.resource_names import cluster_tags, role_name
from gyrus.cluster.aws.templates.document import ACCOUNT, StackResource, ref, resource, substituted, tag_list

CONTROL_PLANE, NODE, OPERATOR, REPLICA, NETWORK, VOLUMES = (
    "ControlPlaneRole",
    "NodeRole",
    "OperatorRole",
    "ReplicaRole",
    "NetworkRole",
    "VolumeRole",
)
PURPOSES = {
    CONTROL_PLANE: "control-plane",
    NODE: "node",
    OPERATOR: "operator",
    REPLICA: "replica",
    NETWORK: "network",
    VOLUMES: "volumes",
}
"""The ends of the roles' names."""
NODE_PROFILE = "NodeProfile"
"""The instance profile of nodes."""
PODS = "pods.eks.amazonaws.com"


def roles(spec: ClusterSpec) -> dict[str, StackResource]:
    """Return the roles, and the instance profile of nodes."""
    machine = substituted("ec2.${AWS::URLSuffix}")
    operator = policy_document(operator_statements(PolicyScope(spec, ACCOUNT)))
    return {
        CONTROL_PLANE: _role(spec, CONTROL_PLANE, "eks.amazonaws.com"),
        NODE: _role(spec, NODE, machine),
        OPERATOR: _role(spec, OPERATOR, PODS, operator),
        REPLICA: _role(spec, REPLICA, PODS),
        NETWORK: _role(spec, NETWORK, PODS),
        VOLUMES: _role(spec, VOLUMES, PODS),
        NODE_PROFILE: resource(
            "IAM::InstanceProfile",
            {"InstanceProfileName": role_name(spec, PURPOSES[NODE]), "Roles": [ref(NODE)]},
        ),
    }


def _role(spec: ClusterSpec, role: str, service: Any, policy: dict[str, Any] | None = None) -> StackResource:
    policies = attached_policies(spec, PURPOSES[role])
    inline = [{"PolicyName": "gyrus", "PolicyDocument": substituted(policy)}] if policy else []
    properties = {
        "RoleName": role_name(spec, PURPOSES[role]),
        "AssumeRolePolicyDocument": _trust(service),
        **({"ManagedPolicyArns": policies} if policies else {}),
        **({"Policies": inline} if inline else {}),
        "Tags": tag_list(cluster_tags(spec)),
    }
    return resource("IAM::Role", properties)


def _trust(service: Any) -> dict[str, Any]:
    # EKS passes the pod's namespace and service account as tags of the session.
    actions = ["sts:AssumeRole", "sts:TagSession"] if service == PODS else ["sts:AssumeRole"]
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    return {"Version": VERSION, "Statement": [statement]}
