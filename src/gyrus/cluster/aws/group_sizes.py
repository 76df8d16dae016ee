"""Auto Scaling groups of a cluster: their sizes, raised at the beginning and ended at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsNotFound, AwsRejected
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup, scaling_groups
from gyrus.cluster.aws.resource_names import CLUSTER_TAG

AUTOSCALING = "autoscaling"


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
    aws: AwsCaller, cluster: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Delete the groups of a cluster with all their instances, and wait until these are gone.

    CloudFormation would wait for ever for instances that are protected from an end by Auto Scaling.
    Raises AwsError.
    """
    number = 0
    while groups := await described_groups(aws, cluster):
        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                tasks.create_task(_end(aws, group.name), name=f"end {group.name}")
        await sleep(min(0.2 * 1.5**number, 5))
        number += 1


async def _end(aws: AwsCaller, name: str) -> None:
    try:
        await aws.call(AUTOSCALING, "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=True)
    except AwsNotFound:
        pass
    except AwsRejected as error:
        # It is being deleted, or it is gone.
        if error.code not in ("ResourceInUse", "ResourceInUseFault", "ValidationError"):
            raise
