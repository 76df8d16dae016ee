"""The readings of a cluster's parts from AWS. Each raises AwsError."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsDenied, AwsNotFound
from gyrus.cluster.aws.group_sizes import described_groups
from gyrus.cluster.aws.inspection.facts import AddOnState, BalancerState, QueueState, ScalingFacts
from gyrus.cluster.aws.leftovers import own_balancers
from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure, last_failure
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup, ec2_instances
from gyrus.cluster.aws.resource_names import CLUSTER_TAG
from gyrus.cluster.aws.templates.control_plane import ON_EACH_NODE, ON_SOME_NODES

LATEST = 20
"""Activities of an Auto Scaling group that are read."""
AGE_WITHIN = timedelta(minutes=15)
"""CloudWatch measures queues every five minutes."""
AGE_PERIOD = 300


async def add_ons(aws: AwsCaller, cluster: str) -> dict[str, AddOnState]:
    """Return the add-ons that exist, of those that the templates have."""
    names = (*ON_EACH_NODE, *ON_SOME_NODES)
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(_add_on(aws, cluster, name), name=f"inspect {name}") for name in names
        }
    return {name: state for name, task in tasks.items() if (state := task.result()) is not None}


async def _add_on(aws: AwsCaller, cluster: str, name: str) -> AddOnState | None:
    try:
        answer = await aws.call("eks", "describe_addon", clusterName=cluster, addonName=name)
    except AwsNotFound:
        return None
    found: Answer = answer["addon"]
    issues: Sequence[Mapping[str, Any]] = found.get("health", {}).get("issues", ())
    return AddOnState(
        status=found["status"],
        version=found.get("addonVersion", ""),
        issues=tuple(str(issue.get("message") or issue.get("code", "")) for issue in issues),
    )


async def scaling(aws: AwsCaller, cluster: str, now: datetime) -> ScalingFacts:
    """Return the Auto Scaling groups with their instances, and the launches that failed."""
    own = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster]}]
    groups = await described_groups(aws, cluster)
    async with asyncio.TaskGroup() as tasks:
        instances = tasks.create_task(
            aws.pages("ec2", "describe_instances", "Reservations", Filters=own), name="inspect instances"
        )
        failures = {
            group.name: tasks.create_task(_failure(aws, group, now), name=f"inspect {group.name}")
            for group in groups
        }
    return ScalingFacts(
        groups=groups,
        instances=ec2_instances(instances.result()),
        failures={name: failure for name, task in failures.items() if (failure := task.result())},
    )


async def _failure(aws: AwsCaller, group: ObservedGroup, now: datetime) -> LaunchFailure | None:
    answer = await aws.call(
        "autoscaling", "describe_scaling_activities", AutoScalingGroupName=group.name, MaxRecords=LATEST
    )
    return last_failure(answer.get("Activities", ()), now.timestamp())


async def balancers(aws: AwsCaller, cluster: str) -> tuple[BalancerState, ...]:
    """Return the network load balancers of the cluster's Services."""
    return tuple(
        BalancerState(
            name=one.get("LoadBalancerName", ""),
            address=one.get("DNSName", ""),
            state=one.get("State", {}).get("Code", ""),
        )
        for one in await own_balancers(aws, cluster)
    )


async def queue(aws: AwsCaller, name: str, now: datetime) -> QueueState | None:
    """Return the queue with EC2's notices; None if there is none."""
    try:
        url = (await aws.call("sqs", "get_queue_url", QueueName=name))["QueueUrl"]
        answer = await aws.call(
            "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
        )
    except AwsNotFound:
        return None
    waiting = answer.get("Attributes", {}).get("ApproximateNumberOfMessages", 0)
    return QueueState(url=url, messages=int(waiting), oldest_seconds=await _oldest(aws, name, now))


async def _oldest(aws: AwsCaller, name: str, now: datetime) -> float | None:
    try:
        return await _measured_age(aws, name, now)
    except AwsDenied:
        return None


async def _measured_age(aws: AwsCaller, name: str, now: datetime) -> float | None:
    answer = await aws.call(
        "cloudwatch",
        "get_metric_statistics",
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        StartTime=now - AGE_WITHIN,
        EndTime=now,
        Period=AGE_PERIOD,
        Statistics=["Maximum"],
    )
    points: list[Answer] = sorted(answer.get("Datapoints", []), key=lambda point: point["Timestamp"])
    return float(points[-1]["Maximum"]) if points else None


async def has_bucket(aws: AwsCaller, name: str) -> bool:
    try:
        await aws.call("s3", "head_bucket", Bucket=name)
    except AwsNotFound:
        return False
    return True


async def has_log_group(aws: AwsCaller, name: str) -> bool:
    found: list[Answer] = await aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return any(one["logGroupName"] == name for one in found)
