"""The policy of the operator, by the parts of cluster.yaml that need each right. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gyrus.cluster.aws import resource_names as aws_names
from gyrus.cluster.aws.policies.statement import PolicyScope, PolicyStatement


def operator_statements(scope: PolicyScope) -> list[PolicyStatement]:
    """Return the operator's policy on a cluster that gyrus creates."""
    nodes = [*_nodes(scope)] if scope.spec.scaler == "gyrus" else []
    logs = [*_cloudwatch(scope)] if scope.spec.cloudwatch else []
    return [*nodes, *_objects(scope), *_prices(), *logs]


def installed_statements(scope: PolicyScope) -> list[PolicyStatement]:
    """Return the operator's policy on an EKS cluster that others created and scale."""
    logs = [*_cloudwatch(scope)] if scope.spec.cloudwatch else []
    return [*_objects(scope), *_prices(), *logs]


def _nodes(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="ScaleNodeGroups",
        actions=("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"),
        resources=(scope.scaling_groups,),
        reason="The planner of nodes sets the size of each Auto Scaling group, and ends the nodes that it "
        "has drained.",
    )
    yield PolicyStatement(
        name="ObserveNodeGroups",
        actions=("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"),
        reason="The operator sees which instances run, and which activities failed and why. AWS limits these "
        "actions to no resource.",
    )
    yield PolicyStatement(
        name="ReceiveNotices",
        actions=("sqs:ReceiveMessage", "sqs:DeleteMessage"),
        resources=(scope.queue,),
        reason="Warnings of spot interruptions, EC2's recommendations to replace a node, and changes of "
        "instances arrive in the cluster's queue.",
    )


def _objects(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="ListBucket",
        actions=("s3:ListBucket",),
        resources=(scope.bucket,),
        reason="The operator lists packages, environments and results, and learns from a missing object that "
        "it is missing.",
    )
    yield PolicyStatement(
        name="UseObjects",
        actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
        resources=(f"{scope.bucket}/*",),
        reason="Packages, environments, results and archived logs are objects. Pods without credentials get "
        "presigned URLs, which the operator's right makes valid.",
    )


def _prices() -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="ReadPrices",
        actions=("pricing:GetProducts", "ec2:DescribeSpotPriceHistory"),
        reason="Costs, and the choice between pools, need the present prices. AWS limits these actions to no "
        "resource.",
    )
    yield PolicyStatement(
        name="ObserveInstances",
        actions=("ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeVolumes"),
        reason="The instances and volumes that run are what the cluster costs. AWS limits these actions to "
        "no resource.",
    )


def _cloudwatch(scope: PolicyScope) -> Iterator[PolicyStatement]:
    yield PolicyStatement(
        name="WriteAndReadLogs",
        actions=(
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "logs:DescribeLogStreams",
            "logs:GetLogEvents",
            "logs:FilterLogEvents",
            "logs:CreateLogGroup",
            "logs:PutRetentionPolicy",
        ),
        resources=scope.log_groups(aws_names.log_group(scope.cluster)),
        reason="The operator sends the output of replicas, gateways and its own, and `gyrus logs --since` "
        "reads back what is no longer on the cluster. A log group that is missing is created.",
    )
    yield PolicyStatement(
        name="WriteMetrics",
        actions=("cloudwatch:PutMetricData",),
        conditions={"StringEquals": {"cloudwatch:namespace": aws_names.metrics_namespace(scope.cluster)}},
        reason="The operator sends the metrics of the cluster. AWS limits the action to a namespace, not to "
        "a resource.",
    )
