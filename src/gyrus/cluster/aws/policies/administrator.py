"""The policy of the person who creates, changes and deletes a cluster, and of a pipeline that does. Pure.

CloudFormation acts with the rights of its caller: the policy has every right that the templates need.
"""

from __future__ import annotations

from collections.abc import Iterator

from gyrus.cluster.aws import resource_names as aws_names
from gyrus.cluster.aws.cloudwatch.alarms import alarm_prefix
from gyrus.cluster.aws.cloudwatch.dashboard import dashboard_name
from gyrus.cluster.aws.leftovers import NETWORK_TAG
from gyrus.cluster.aws.policies.attached import every_attached_policy
from gyrus.cluster.aws.policies.statement import PolicyScope, PolicyStatement
from gyrus.cluster.aws.recorded_file import FOLDER

ROLE_SERVICES = ("eks.amazonaws.com", "ec2.amazonaws.com", "pods.eks.amazonaws.com")
"""The services that roles are passed to."""
LINKED_SERVICES = (
    "autoscaling.amazonaws.com",
    "eks.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "spot.amazonaws.com",
)
"""The services whose own roles an account has from their first use on."""


def administrator_statements(scope: PolicyScope) -> list[PolicyStatement]:
    """Return the policy for ``gyrus cluster up``, ``configure``, ``down``, ``info`` and ``health``."""
    parts = (
        *(_checks, _stacks, _network, _instances, _scaling, _leftovers, _control_plane),
        *(_roles, _data, _notices),
    )
    return [statement for part in parts for statement in part(scope)]


def _checks(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="CheckAccount",
        actions=(
            "ec2:Describe*",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
            "servicequotas:ListServiceQuotas",
            "servicequotas:ListAWSDefaultServiceQuotas",
            "pricing:GetProducts",
        ),
        reason="Before anything is created, zones, instance types, quotas, subnets and prices are checked; "
        "`info` and `down` find what a cluster has. AWS limits most of these actions to no resource.",
    )
    yield PolicyStatement(
        name="ReadNodeImages",
        actions=("ssm:GetParameter", "ssm:GetParameters"),
        resources=(f"arn:{scope.partition}:ssm:{scope.spec.region}::parameter/aws/service/eks/*",),
        reason="AWS publishes the ID of the image of nodes as a parameter.",
    )
    if scope.spec.ssl_certificate_arn:
        yield PolicyStatement(
            name="CheckCertificate",
            actions=("acm:DescribeCertificate",),
            resources=(scope.spec.ssl_certificate_arn,),
            reason="The certificate of the APIs must exist, and be valid.",
        )
    if scope.spec.iam_policy_arns:
        yield PolicyStatement(
            name="CheckPolicies",
            actions=("iam:GetPolicy",),
            resources=scope.spec.iam_policy_arns,
            reason="The policies that replicas get must exist.",
        )


def _stacks(scope: PolicyScope) -> Iterator[PolicyStatement]:
    base, group = aws_names.base_stack(scope.cluster), aws_names.group_prefix(scope.cluster)
    yield PolicyStatement(
        name="ApplyStacks",
        actions=(
            "cloudformation:CreateChangeSet",
            "cloudformation:DescribeChangeSet",
            "cloudformation:ExecuteChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:ListChangeSets",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStacks",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStackResources",
            "cloudformation:ListStackResources",
            "cloudformation:GetTemplate",
            "cloudformation:TagResource",
            "cloudformation:UntagResource",
        ),
        resources=(
            scope.arn("cloudformation", f"stack/{base}/*"),
            scope.arn("cloudformation", f"stack/{group}*"),
        ),
        reason="A cluster is a base stack and a stack for each node group, changed through change sets.",
    )
    yield PolicyStatement(
        name="FindStacks",
        actions=("cloudformation:DescribeStacks", "cloudformation:ListStacks"),
        reason="The stacks of node groups that are no longer in cluster.yaml are found among all.",
    )


def _network(scope: PolicyScope) -> Iterator[PolicyStatement]:
    if scope.spec.subnets:
        return
    yield PolicyStatement(
        name="CreateNetwork",
        actions=(
            "ec2:CreateVpc",
            "ec2:CreateSubnet",
            "ec2:CreateInternetGateway",
            "ec2:CreateRouteTable",
            "ec2:CreateVpcEndpoint",
            "ec2:AllocateAddress",
            "ec2:CreateNatGateway",
        ),
        resources=(scope.arn("ec2", "*"),),
        reason="The cluster has a VPC of its own, with subnets, gateways, routes and an endpoint of S3.",
    )
    yield PolicyStatement(
        name="ChangeNetwork",
        actions=(
            "ec2:ModifyVpcAttribute",
            "ec2:ModifySubnetAttribute",
            "ec2:AttachInternetGateway",
            "ec2:DetachInternetGateway",
            "ec2:CreateRoute",
            "ec2:ReplaceRoute",
            "ec2:DeleteRoute",
            "ec2:AssociateRouteTable",
            "ec2:ReplaceRouteTableAssociation",
            "ec2:DisassociateRouteTable",
            "ec2:ModifyVpcEndpoint",
            "ec2:DisassociateAddress",
        ),
        resources=(scope.arn("ec2", "*"),),
        reason="The parts of the network are joined. AWS may see these actions before a new resource has "
        "its tags.",
    )
    yield PolicyStatement(
        name="DeleteNetwork",
        actions=(
            "ec2:DeleteRouteTable",
            "ec2:DeleteSubnet",
            "ec2:DeleteInternetGateway",
            "ec2:DeleteVpcEndpoints",
            "ec2:ReleaseAddress",
            "ec2:DeleteNatGateway",
            "ec2:DeleteVpc",
        ),
        resources=(scope.arn("ec2", "*"),),
        conditions={"StringEquals": {f"aws:ResourceTag/{aws_names.CLUSTER_TAG}": scope.cluster}},
        reason="Only the network of this cluster is deleted, by its tag.",
    )


def _instances(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="CreateLaunchTemplates",
        actions=(
            "ec2:CreateLaunchTemplate",
            "ec2:CreateLaunchTemplateVersion",
            "ec2:DeleteLaunchTemplate",
        ),
        resources=(scope.arn("ec2", "launch-template/*"),),
        reason="Each node group has a launch template for each capacity type.",
    )
    yield PolicyStatement(
        name="LaunchInstances",
        actions=("ec2:RunInstances",),
        resources=(
            scope.arn("ec2", "*"),
            f"arn:{scope.partition}:ec2:{scope.spec.region}::image/*",
        ),
        reason="Auto Scaling accepts a launch template only from a caller that may launch it.",
    )
    yield PolicyStatement(
        name="TagResources",
        actions=("ec2:CreateTags", "ec2:DeleteTags"),
        resources=(scope.arn("ec2", "*"),),
        reason="Every resource bears the tags of cluster.yaml, by which bills group costs, and the "
        "cluster's name.",
    )


def _scaling(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="ChangeNodeGroups",
        actions=(
            "autoscaling:CreateAutoScalingGroup",
            "autoscaling:UpdateAutoScalingGroup",
            "autoscaling:DeleteAutoScalingGroup",
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteTags",
            "autoscaling:SetDesiredCapacity",
            "autoscaling:SetInstanceProtection",
            "autoscaling:SuspendProcesses",
            "autoscaling:ResumeProcesses",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
        ),
        resources=(scope.scaling_groups,),
        reason="Each node group has an Auto Scaling group for each capacity type. `up` starts the first "
        "nodes, `configure` replaces nodes, and `down` ends the protection of those that are left.",
    )
    yield PolicyStatement(
        name="ObserveNodeGroups",
        actions=("autoscaling:Describe*",),
        reason="Progress, and the nodes of `info`. AWS limits these actions to no resource.",
    )


def _leftovers(scope: PolicyScope) -> Iterator[PolicyStatement]:
    owner = f"aws:ResourceTag/{aws_names.owner_tag(scope.cluster)}"
    yield PolicyStatement(
        name="DeleteLoadBalancers",
        actions=(
            "elasticloadbalancing:DeleteLoadBalancer",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteNetworkInterface",
        ),
        resources=(
            scope.arn("elasticloadbalancing", "loadbalancer/*"),
            scope.arn("ec2", "security-group/*"),
            scope.arn("ec2", "network-interface/*"),
        ),
        conditions={"Null": {owner: "false"}},
        reason="`down` deletes what Kubernetes made for Services and could not delete itself: only what has "
        "the tag of this cluster.",
    )
    yield PolicyStatement(
        name="DeletePodInterfaces",
        actions=("ec2:DeleteNetworkInterface",),
        resources=(scope.arn("ec2", "network-interface/*"),),
        conditions={"StringEquals": {f"aws:ResourceTag/{NETWORK_TAG}": scope.cluster}},
        reason="`down` deletes the interfaces of pods that the network add-on has left, by its tag.",
    )
    yield PolicyStatement(
        name="DeleteVolumes",
        actions=("ec2:DeleteVolume", "ec2:TerminateInstances"),
        resources=(scope.arn("ec2", "volume/*"), scope.arn("ec2", "instance/*")),
        conditions={"StringEquals": {f"aws:ResourceTag/{aws_names.CLUSTER_TAG}": scope.cluster}},
        reason="`down` deletes the volumes of this cluster that Kubernetes has left, and ends instances that "
        "no Auto Scaling group has, such as Karpenter's, by their tag.",
    )


def _control_plane(scope: PolicyScope) -> Iterator[PolicyStatement]:
    actions = (
        *("CreateCluster", "DescribeCluster", "DeleteCluster", "UpdateClusterConfig", "UpdateClusterVersion"),
        *("DescribeUpdate", "TagResource", "UntagResource"),
        *("CreateAddon", "DescribeAddon", "UpdateAddon", "DeleteAddon"),
        *("CreateAccessEntry", "DescribeAccessEntry", "UpdateAccessEntry", "DeleteAccessEntry"),
        "ListAssociatedAccessPolicies",
        *("CreatePodIdentityAssociation", "DescribePodIdentityAssociation"),
        *("UpdatePodIdentityAssociation", "DeletePodIdentityAssociation"),
    )
    kinds = ("cluster", "addon", "access-entry", "podidentityassociation")
    owned = (scope.arn("eks", f"{kind}/{scope.cluster}{'' if kind == 'cluster' else '/*'}") for kind in kinds)
    yield PolicyStatement(
        name="ChangeControlPlane",
        actions=tuple(f"eks:{action}" for action in actions),
        resources=tuple(owned),
        reason="The control plane, its add-ons, and the rights of nodes and pods.",
    )
    yield PolicyStatement(
        name="ObserveControlPlanes",
        actions=("eks:ListClusters", "eks:DescribeAddonVersions", "eks:DescribeClusterVersions"),
        reason="The versions that EKS offers. AWS limits these actions to no resource.",
    )


def _roles(scope: PolicyScope) -> Iterator[PolicyStatement]:
    prefix = aws_names.role_prefix(scope.spec)
    owned = tuple(scope.iam(f"{kind}/{prefix}-*") for kind in ("role", "instance-profile"))
    actions = (
        *("CreateRole", "GetRole", "DeleteRole", "UpdateRole", "UpdateAssumeRolePolicy", "TagRole"),
        *("UntagRole", "PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy"),
        *("ListRolePolicies", "ListAttachedRolePolicies"),
        *("CreateInstanceProfile", "GetInstanceProfile", "DeleteInstanceProfile"),
        *("AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"),
    )
    yield PolicyStatement(
        name="ChangeRoles",
        actions=tuple(f"iam:{action}" for action in actions),
        resources=owned,
        reason="The roles of control plane, nodes, operator, replicas and add-ons. A right to create roles "
        "is a right to everything: give this policy to administrators alone.",
    )
    yield PolicyStatement(
        name="AttachPolicies",
        actions=("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
        resources=owned[:1],
        conditions={"ArnEquals": {"iam:PolicyARN": every_attached_policy(scope.spec)}},
        reason="The policies of AWS that add-ons and nodes need, and those of cluster.yaml for replicas.",
    )
    yield PolicyStatement(
        name="PassRoles",
        actions=("iam:PassRole",),
        resources=owned[:1],
        conditions={"StringLike": {"iam:PassedToService": [f"{name}*" for name in ROLE_SERVICES]}},
        reason="EKS, EC2 and pods act in these roles.",
    )
    yield PolicyStatement(
        name="CreateLinkedRoles",
        actions=("iam:CreateServiceLinkedRole",),
        resources=(scope.iam("role/aws-service-role/*"),),
        conditions={"StringEquals": {"iam:AWSServiceName": LINKED_SERVICES}},
        reason="In an account that has never used one of these services, its first use creates its role.",
    )


def _data(scope: PolicyScope) -> Iterator[PolicyStatement]:
    configured = ("EncryptionConfiguration", "LifecycleConfiguration", "BucketPublicAccessBlock")
    owned = (*configured, "BucketOwnershipControls", "BucketPolicy", "BucketTagging")
    yield PolicyStatement(
        name="ChangeBucket",
        actions=(
            "s3:CreateBucket",
            "s3:DeleteBucket",
            "s3:DeleteBucketPolicy",
            "s3:ListBucket",
            "s3:ListBucketVersions",
            "s3:ListBucketMultipartUploads",
            *("s3:TagResource", "s3:UntagResource", "s3:ListTagsForResource"),
            *(f"s3:Put{name}" for name in owned),
            *("s3:GetBucket*", "s3:Get*Configuration"),
        ),
        resources=(scope.bucket,),
        reason="The cluster's bucket, with its encryption, its lifecycle, and no public access. "
        "CloudFormation reads all of its settings.",
    )
    yield PolicyStatement(
        name="EmptyBucket",
        actions=("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"),
        resources=(f"{scope.bucket}/*",),
        reason="`down` empties the bucket, since AWS deletes no bucket with objects.",
    )
    yield PolicyStatement(
        name="KeepClusterFile",
        actions=("s3:GetObject", "s3:PutObject"),
        resources=(f"{scope.bucket}/{FOLDER}/*",),
        reason="The bucket keeps the cluster.yaml that was last applied: `configure` shows the price before "
        "and after a change.",
    )
    if scope.spec.cloudwatch:
        yield from _log_groups(scope)
        yield from _health(scope)


def _log_groups(scope: PolicyScope) -> Iterator[PolicyStatement]:
    names = (aws_names.log_group(scope.cluster), aws_names.control_plane_log_group(scope.cluster))
    yield PolicyStatement(
        name="ChangeLogGroups",
        actions=(
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:PutRetentionPolicy",
            "logs:DeleteRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
            "logs:ListTagsForResource",
        ),
        resources=scope.log_groups(*names),
        reason="The log groups of cluster and control plane end with the cluster.",
    )
    yield PolicyStatement(
        name="FindLogGroups",
        actions=(
            "logs:DescribeLogGroups",
            "logs:DescribeIndexPolicies",
            "logs:DescribeResourcePolicies",
            "logs:GetDataProtectionPolicy",
        ),
        resources=(scope.arn("logs", "log-group:*"),),
        reason="CloudFormation finds a log group among all, and reads its settings.",
    )


def _health(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="ChangeDashboardAndAlarms",
        actions=(
            "cloudwatch:PutDashboard",
            "cloudwatch:GetDashboard",
            "cloudwatch:DeleteDashboards",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:DeleteAlarms",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
            "cloudwatch:ListTagsForResource",
        ),
        resources=(
            f"arn:{scope.partition}:cloudwatch::{scope.account}:dashboard/{dashboard_name(scope.cluster)}",
            scope.arn("cloudwatch", f"alarm:{alarm_prefix(scope.cluster)}*"),
        ),
        reason="The dashboard of the cluster, and the alarms on its health.",
    )
    yield PolicyStatement(
        name="FindAlarms",
        actions=("cloudwatch:DescribeAlarms",),
        resources=(scope.arn("cloudwatch", "alarm:*"),),
        reason="CloudFormation finds an alarm among all.",
    )


def _notices(scope: PolicyScope) -> Iterator[PolicyStatement]:
    if scope.spec.scaler != "gyrus":
        return
    yield PolicyStatement(
        name="ChangeQueue",
        actions=tuple(
            f"sqs:{action}"
            for action in (
                *("CreateQueue", "DeleteQueue", "GetQueueUrl", "GetQueueAttributes", "SetQueueAttributes"),
                *("TagQueue", "UntagQueue", "ListQueueTags"),
            )
        ),
        resources=(scope.queue,),
        reason="The queue with EC2's notices.",
    )
    yield PolicyStatement(
        name="MeasureQueue",
        actions=("cloudwatch:GetMetricStatistics",),
        reason="`info` and `health` show the age of the oldest notice. AWS limits this action to no "
        "resource.",
    )
    yield PolicyStatement(
        name="ChangeRules",
        actions=tuple(
            f"events:{action}"
            for action in (
                *("PutRule", "DescribeRule", "DeleteRule"),
                *("PutTargets", "RemoveTargets", "ListTargetsByRule"),
                *("TagResource", "UntagResource", "ListTagsForResource"),
            )
        ),
        resources=(scope.arn("events", f"rule/{aws_names.rule_prefix(scope.cluster)}-*"),),
        reason="The rules by which EventBridge fills the queue.",
    )
