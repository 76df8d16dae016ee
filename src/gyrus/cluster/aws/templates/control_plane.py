"""The EKS cluster: the control plane, its add-ons, and the rights of nodes and pods in it. Pure."""

from __future__ import annotations

import json
from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.resource_names import cluster_tags, control_plane_log_group, logical_name
from gyrus.cluster.aws.templates import roles
from gyrus.cluster.aws.templates.account_facts import AccountFacts, service_range
from gyrus.cluster.aws.templates.document import StackResource, attribute, ref, resource, tag_list
from gyrus.cluster.aws.templates.network import Network
from gyrus.contract import cluster as names

CLUSTER = "Cluster"
CONTROL_PLANE_LOGS = "ControlPlaneLogs"
LOG_TYPES = ("authenticator", "controllerManager", "scheduler")
"""The logs of the control plane that show why a node does not join, or a load balancer does not come.

Those of the API server and the audit log are many times larger, and CloudWatch charges by size."""
ON_EACH_NODE = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""Add-ons that are ready while there is no node."""
ON_SOME_NODES = ("coredns", "aws-ebs-csi-driver", "metrics-server")


def addon_name(addon: str) -> str:
    """Return the name of an add-on's resource in the template."""
    return f"{logical_name(addon)}Addon"


def control_plane(
    spec: ClusterSpec, facts: AccountFacts, network: Network, retention: int
) -> dict[str, StackResource]:
    """Return the resources of EKS.

    ``retention``: days for which logs are kept.
    """
    logs = {CONTROL_PLANE_LOGS: _log_group(spec, retention)} if spec.cloudwatch else {}
    return {
        **logs,
        CLUSTER: _cluster(spec, network, service_range(spec, facts)),
        "NodeAccess": _node_access(spec),
        **_addons(spec, facts),
        **_pod_identities(spec),
    }


def _log_group(spec: ClusterSpec, retention: int) -> StackResource:
    """Return the log group that EKS would otherwise create without an end of retention, and leave behind."""
    properties = {
        "LogGroupName": control_plane_log_group(spec.cluster_name),
        "RetentionInDays": retention,
        "Tags": tag_list(cluster_tags(spec)),
    }
    return resource("Logs::LogGroup", properties)


def _cluster(spec: ClusterSpec, network: Network, services: str) -> StackResource:
    types = [{"Type": name} for name in LOG_TYPES] if spec.cloudwatch else []
    properties = {
        "Name": spec.cluster_name,
        "Version": spec.kubernetes_version,
        "RoleArn": attribute("Arn", roles.CONTROL_PLANE),
        "AccessConfig": {"AuthenticationMode": "API", "BootstrapClusterCreatorAdminPermissions": True},
        "BootstrapSelfManagedAddons": False,
        "KubernetesNetworkConfig": {"ServiceIpv4Cidr": services},
        "ResourcesVpcConfig": {
            "SubnetIds": [*network.public, *network.private],
            "EndpointPublicAccess": True,
            "EndpointPrivateAccess": True,
        },
        "Logging": {"ClusterLogging": {"EnabledTypes": types}},
        "Tags": tag_list(cluster_tags(spec)),
    }
    depends = {"DependsOn": CONTROL_PLANE_LOGS} if spec.cloudwatch else {}
    return resource("EKS::Cluster", properties, **depends)


def _node_access(spec: ClusterSpec) -> StackResource:
    properties = {
        "ClusterName": ref(CLUSTER),
        "PrincipalArn": attribute("Arn", roles.NODE),
        "Type": "EC2_LINUX",
        "Tags": tag_list(cluster_tags(spec)),
    }
    return resource("EKS::AccessEntry", properties)


def _addons(spec: ClusterSpec, facts: AccountFacts) -> dict[str, StackResource]:
    names = (*ON_EACH_NODE, *ON_SOME_NODES) if facts.nodes_exist else ON_EACH_NODE
    return {addon_name(name): _addon(spec, name) for name in names}


def _addon(spec: ClusterSpec, addon: str) -> StackResource:
    """Return an add-on, in the version that EKS recommends when it is created."""
    properties: dict[str, Any] = {
        "ClusterName": ref(CLUSTER),
        "AddonName": addon,
        "ResolveConflicts": "OVERWRITE",
        "Tags": tag_list(cluster_tags(spec)),
    }
    if addon == "vpc-cni":
        properties["PodIdentityAssociations"] = [_identity("aws-node", roles.NETWORK)]
    if addon == "aws-ebs-csi-driver":
        properties["PodIdentityAssociations"] = [_identity("ebs-csi-controller-sa", roles.VOLUMES)]
        settings = {
            "controller": {"extraVolumeTags": dict(cluster_tags(spec))},
            "defaultStorageClass": {"enabled": True},
        }
        properties["ConfigurationValues"] = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return resource("EKS::Addon", properties)


def _identity(account: str, role: str) -> StackResource:
    return {"ServiceAccount": account, "RoleArn": attribute("Arn", role)}


def _pod_identities(spec: ClusterSpec) -> dict[str, StackResource]:
    """Return the roles of gyrus's own service accounts. Gateways need none."""
    accounts = {names.OPERATOR: roles.OPERATOR, names.REPLICA: roles.REPLICA}
    return {
        f"{role.removesuffix('Role')}Identity": resource(
            "EKS::PodIdentityAssociation",
            {
                "ClusterName": ref(CLUSTER),
                "Namespace": spec.gyrus.namespace,
                **_identity(account, role),
                "Tags": tag_list(cluster_tags(spec)),
            },
        )
        for account, role in accounts.items()
    }
