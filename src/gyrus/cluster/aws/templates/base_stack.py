"""The base stack of a cluster: everything but its node groups. Pure."""

from __future__ import annotations

from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.resource_names import bucket_name, log_group
from gyrus.cluster.aws.templates import roles
from gyrus.cluster.aws.templates.account_facts import AccountFacts, service_range
from gyrus.cluster.aws.templates.control_plane import CLUSTER, control_plane
from gyrus.cluster.aws.templates.document import (
    ACCOUNT,
    LARGEST_BODY,
    StackTemplate,
    attribute,
    body,
    joined,
    ref,
    substituted,
    template,
)
from gyrus.cluster.aws.templates.health import health
from gyrus.cluster.aws.templates.network import Network, network_of
from gyrus.cluster.aws.templates.notices import QUEUE, notices
from gyrus.cluster.aws.templates.storage import RETENTION, storage

OUTPUTS = {
    "ClusterName": "the name of the EKS cluster",
    "ClusterArn": "the ARN of the EKS cluster",
    "ClusterEndpoint": "the URL of the Kubernetes API",
    "ClusterCertificate": "the authority of the Kubernetes API, in base64",
    "ServiceRange": "the addresses of Kubernetes Services",
    "SecurityGroup": "the security group of control plane and nodes",
    "Vpc": "the VPC, if it is known",
    "Subnets": "the subnets of nodes",
    "Zones": "the zones of these subnets, in their order",
    "PublicSubnets": "the subnets of public load balancers",
    "PrivateSubnets": "the subnets without public addresses",
    "NodeRole": "the ARN of the role of nodes",
    "NodeProfile": "the ARN of the instance profile of nodes",
    "OperatorRole": "the ARN of the role of the operator",
    "ReplicaRole": "the ARN of the role of replicas",
    "Bucket": "the name of the bucket",
    "NoticeQueue": "the URL of the queue with EC2's notices, if gyrus plans nodes",
    "LogGroup": "the log group, if logs go to CloudWatch",
}
"""The outputs of the base stack, and what they are. One without a value is left out."""


def render_base(spec: ClusterSpec, facts: AccountFacts | None = None) -> StackTemplate:
    """Return the template of a cluster's base stack.

    ``facts``: facts about the account. By default CloudFormation chooses the zones, and the data is new.

    Resources have the tags of cluster.yaml, unless the template would be too large for CloudFormation: then
    they get them from the stack, whose tags CloudFormation passes on.
    """
    found = _rendered(spec, facts or AccountFacts())
    if len(body(found).encode()) <= LARGEST_BODY:
        return found
    return _rendered(spec.model_copy(update={"tags": {}}), facts or AccountFacts())


def _rendered(spec: ClusterSpec, facts: AccountFacts) -> StackTemplate:
    network, services = network_of(spec, facts), service_range(spec, facts)
    resources = {
        **network.resources,
        **roles.roles(spec),
        **control_plane(spec, facts, network, RETENTION),
        **storage(spec, facts.data),
        **health(spec),
        **(notices(spec) if spec.scaler == "gyrus" else {}),
    }
    return template(
        f"gyrus cluster {spec.cluster_name}",
        Resources=resources,
        Outputs=_outputs(spec, network, services),
    )


def _outputs(spec: ClusterSpec, network: Network, services: str) -> dict[str, Any]:
    values = {
        "ClusterName": ref(CLUSTER),
        "ClusterArn": attribute("Arn", CLUSTER),
        "ClusterEndpoint": attribute("Endpoint", CLUSTER),
        "ClusterCertificate": attribute("CertificateAuthorityData", CLUSTER),
        "ServiceRange": services,
        "SecurityGroup": attribute("ClusterSecurityGroupId", CLUSTER),
        "Vpc": network.vpc,
        "Subnets": joined([*network.nodes]),
        "Zones": joined([*network.zones]),
        "PublicSubnets": joined([*network.public]) if network.public else None,
        "PrivateSubnets": joined([*network.private]) if network.private else None,
        "NodeRole": attribute("Arn", roles.NODE),
        "NodeProfile": attribute("Arn", roles.NODE_PROFILE),
        "OperatorRole": attribute("Arn", roles.OPERATOR),
        "ReplicaRole": attribute("Arn", roles.REPLICA),
        "Bucket": substituted(bucket_name(spec, ACCOUNT)),
        "NoticeQueue": ref(QUEUE) if spec.scaler == "gyrus" else None,
        "LogGroup": log_group(spec.cluster_name) if spec.cloudwatch else None,
    }
    return {
        name: {"Description": OUTPUTS[name], "Value": value}
        for name, value in values.items()
        if value is not None
    }
