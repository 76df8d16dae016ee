"""Auto Scaling groups of a cluster: their sizes, raised at the beginning and ended at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsNotFound, AwsRejected, AwsThrottled, GroupsRemain
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup, scaling_groups
from gyrus.cluster.aws.resource_names import CLUSTER_TAG

AUTOSCALING = "autoscaling"
PAUSES = Backoff(0.2, 5, 1.5)
"""Seconds between two looks."""
LOOKS = 250
"""Looks at groups or instances that are to end: about 20 minutes."""
FILTERED_AT_ONCE = 200
"""Values that a filter of EC2 may have."""


async def described_groups(aws: AwsCaller, cluster: str) -> tuple[ObservedGroup, ...]:
    """Return the groups of a cluster, by their tag. Raises AwsError."""
    only = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster]}]
    entries: list[Answer] = await aws.pages(
        AUTOSCALING, "describe_auto_scaling_groups", "AutoScalingGroups", Filters=only
    )
    return scaling_groups(entries, cluster)


async def raise_sizes(aws: AwsCaller, cluster: str, sizes: Mapping[str, int]) -> list[str]:
    """Raise groups to at least these sizes, and return the names of those that were raised.

    Raises AwsError.
    """
    smaller = [
        group for group in await described_groups(aws, cluster) if group.desired < sizes.get(group.name, 0)
    ]
    async with asyncio.TaskGroup() as tasks:
        for group in smaller:
            call = aws.call(
                AUTOSCALING,
                "set_desired_capacity",
                AutoScalingGroupName=group.name,
                DesiredCapacity=sizes[group.name],
                HonorCooldown=False,
            )
            tasks.create_task(call, name=f"raise {group.name}")
    return [group.name for group in smaller]


async def suspend_rebalance(aws: AwsCaller, cluster: str) -> None:
    """Keep Auto Scaling from ending instances to balance zones: gyrus plans which nodes end.

    A template has no field for it. Raises AwsError.
    """
    async with asyncio.TaskGroup() as tasks:
        for group in await described_groups(aws, cluster):
            call = aws.call(
                AUTOSCALING,
                "suspend_processes",
                AutoScalingGroupName=group.name,
                ScalingProcesses=["AZRebalance"],
            )
            tasks.create_task(call, name=f"suspend AZRebalance of {group.name}")


async def end_groups(
    aws: AwsCaller,
    cluster: str,
    chosen: Callable[[ObservedGroup], bool] = lambda _: True,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Delete groups of a cluster with all their instances, and wait until these have ended.

    CloudFormation would wait for ever for instances that are protected from an end by Auto Scaling.
    ``chosen``: the groups; by default all. Raises AwsError, GroupsRemain when the time is up.
    """
    ending: set[str] = set()
    groups: list[ObservedGroup] = []
    for number in range(LOOKS):
        groups = [group for group in await described_groups(aws, cluster) if chosen(group)]
        ending.update(instance.id for group in groups for instance in group.instances)
        if not groups:
            break
        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                tasks.create_task(_end(aws, group.name), name=f"end {group.name}")
        await sleep(PAUSES.delay(number))
    else:
        raise GroupsRemain([group.name for group in groups])
    await until_ended(aws, sorted(ending), sleep=sleep)


async def until_ended(
    aws: AwsCaller,
    instances: Sequence[str],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Wait until instances have ended: their volumes and interfaces are free only then.

    Raises AwsError, GroupsRemain when the time is up.
    """
    left = list(instances)
    for number in range(LOOKS):
        if not left:
            return
        which = [{"Name": "instance-id", "Values": left[:FILTERED_AT_ONCE]}]
        reservations: list[Answer] = await aws.pages(
            "ec2", "describe_instances", "Reservations", Filters=which
        )
        found = [one for reservation in reservations for one in reservation["Instances"]]
        alive = {one["InstanceId"] for one in found if one["State"]["Name"] != "terminated"}
        left = [name for name in left if name in alive or name in left[FILTERED_AT_ONCE:]]
        if left:
            await sleep(PAUSES.delay(number))
    raise GroupsRemain(left)


async def _end(aws: AwsCaller, name: str) -> None:
    try:
        await aws.call(AUTOSCALING, "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=True)
    except (AwsNotFound, AwsThrottled):
        pass  # it is gone, or an activity of it is under way: the next look decides
    except AwsRejected as error:
        gone = error.code == "ValidationError" and ("not found" in error.reason or "pending" in error.reason)
        if not gone and error.code not in ("ResourceInUse", "ResourceInUseFault"):
            raise
