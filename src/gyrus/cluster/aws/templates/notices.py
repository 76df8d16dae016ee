"""Notices of EC2 for the operator: a queue, and the rules by which EventBridge fills it. Pure.

EventBridge knows no cluster of an instance: the operator ignores notices about instances of others.
"""

from __future__ import annotations

from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.policies.statement import VERSION
from gyrus.cluster.aws.resource_names import cluster_tags, group_prefix, queue_name, rule_prefix
from gyrus.cluster.aws.templates.document import (
    StackResource,
    attribute,
    ref,
    resource,
    tag_list,
)

QUEUE = "NoticeQueue"
KEPT = 300
"""Seconds for which a notice is kept. An interruption follows its warning after 120 s."""


def notices(spec: ClusterSpec) -> dict[str, StackResource]:
    """Return the queue, its policy and its rules."""
    queue = {
        "QueueName": queue_name(spec.cluster_name),
        "MessageRetentionPeriod": KEPT,
        "SqsManagedSseEnabled": True,
        "Tags": tag_list(cluster_tags(spec)),
    }
    policy = {"Queues": [ref(QUEUE)], "PolicyDocument": _policy()}
    return {
        QUEUE: resource("SQS::Queue", queue),
        "NoticeQueuePolicy": resource("SQS::QueuePolicy", policy),
        **{f"{name}Rule": _rule(spec, name, pattern) for name, pattern in _patterns(spec).items()},
    }


def _patterns(spec: ClusterSpec) -> dict[str, dict[str, Any]]:
    own_groups = {"AutoScalingGroupName": [{"prefix": group_prefix(spec.cluster_name)}]}
    failures = ("EC2 Instance Launch Unsuccessful", "EC2 Instance Terminate Unsuccessful")
    activities = ("EC2 Instance Launch Successful", "EC2 Instance Terminate Successful")
    return {
        "SpotInterruption": _pattern("ec2", "EC2 Spot Instance Interruption Warning"),
        "Rebalance": _pattern("ec2", "EC2 Instance Rebalance Recommendation"),
        "InstanceState": _pattern("ec2", "EC2 Instance State-change Notification"),
        "ScalingActivity": {**_pattern("autoscaling", *activities, *failures), "detail": own_groups},
        "ScheduledChange": {
            **_pattern("health", "AWS Health Event"),
            "detail": {"service": ["EC2"], "eventTypeCategory": ["scheduledChange"]},
        },
    }


def _pattern(service: str, *kinds: str) -> dict[str, Any]:
    return {"source": [f"aws.{service}"], "detail-type": [*kinds]}


def _rule(spec: ClusterSpec, name: str, pattern: dict[str, Any]) -> StackResource:
    target = {"Id": "notices", "Arn": attribute("Arn", QUEUE)}
    properties = {
        "Name": f"{rule_prefix(spec.cluster_name)}-{name}",
        "EventPattern": pattern,
        "State": "ENABLED",
        "Targets": [target],
        "Tags": tag_list(cluster_tags(spec)),
    }
    return resource("Events::Rule", properties)


def _policy() -> dict[str, Any]:
    """Return the policy by which EventBridge may send for this account, and all connections have TLS."""
    queue = attribute("Arn", QUEUE)
    send = {
        "Sid": "Events",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
    }
    plain = {
        "Sid": "EncryptedConnectionsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": VERSION, "Statement": [send, plain]}
