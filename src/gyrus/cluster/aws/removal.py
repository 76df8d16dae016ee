"""The removal of a cluster from AWS, whatever of it exists. It may be interrupted and repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.bucket import empty_bucket
from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import FoundStacks, found_stacks
from gyrus.cluster.aws.creation import ReportLine
from gyrus.cluster.aws.eks import find_cluster
from gyrus.cluster.aws.errors import AwsError, AwsNotFound, ForeignCluster
from gyrus.cluster.aws.group_sizes import end_groups, until_ended
from gyrus.cluster.aws.leftovers import leftovers, remove
from gyrus.cluster.aws.resource_names import CLUSTER_TAG, bucket_name, control_plane_log_group, log_group
from gyrus.cluster.aws.stack_state import StackStep, step_to_have
from gyrus.cluster.aws.stacks import Stacks, WantedStack
from gyrus.cluster.aws.templates.storage import keeping_data

LOOKS, FIRST_LOOKS = 60, 12
"""Looks at leftovers that are still in use, with up to 5 s between them; and those of an early try."""
PAUSES = Backoff(0.2, 5, 1.5)


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes one cluster."""

    aws: AwsCaller
    stacks: Stacks
    spec: ClusterSpec
    account: str
    report: ReportLine
    keep_data: bool = False
    """Leave the bucket and the log group."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Remove nodes, stacks and data. Raises AwsError."""
        name = self.spec.cluster_name
        cluster = await find_cluster(self.aws, name, self.spec.region)
        if cluster is not None and cluster.tags.get(CLUSTER_TAG) != name:
            raise ForeignCluster(name, self.spec.region)
        found = await found_stacks(self.stacks, name)
        if self.keep_data:
            await self._keep_data(found)
        await end_groups(self.aws, name, sleep=self.sleep)
        await self._end_other_instances()
        async with asyncio.TaskGroup() as tasks:
            for stack in found.groups.values():
                tasks.create_task(self.stacks.delete(stack.name), name=f"delete {stack.name}")
        if not self.keep_data:
            await empty_bucket(self.aws, bucket_name(self.spec, self.account), self._emptied)
        if found.base is not None or cluster is not None:
            # Security groups may stay until the control plane's own one is gone, which refers to them.
            await self._remove_leftovers(FIRST_LOOKS)
        if found.base is not None:
            await self.stacks.delete(found.base.name, clear=self._clear)
            await self._remove_leftovers(LOOKS)
        await self._remove_logs_of_control_plane()
        if not self.keep_data:
            await self._delete_data()

    async def _end_other_instances(self) -> None:
        """End instances of the cluster that no Auto Scaling group has, such as Karpenter's."""
        mine = [
            {"Name": f"tag:{CLUSTER_TAG}", "Values": [self.spec.cluster_name]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
        reservations: list[Answer] = await self.aws.pages(
            "ec2", "describe_instances", "Reservations", Filters=mine
        )
        found = [one["InstanceId"] for reservation in reservations for one in reservation["Instances"]]
        if found:
            self.report(f"Left by the cluster, and ended: {', '.join(found)}")
            await self.aws.call("ec2", "terminate_instances", InstanceIds=found)
            await until_ended(self.aws, found, sleep=self.sleep)

    async def _clear(self) -> None:
        await self._remove_leftovers(FIRST_LOOKS)

    async def _remove_leftovers(self, looks: int) -> None:
        """Remove what the cluster's programs made, and wait until it is gone.

        Raises AwsError after :data:`LOOKS`. Fewer looks are one of several tries.
        """
        for number in range(looks):
            left = await leftovers(self.aws, self.spec.cluster_name)
            if not left.names:
                return
            if number == 0:
                self.report(f"Left by the cluster, and removed: {', '.join(left.names)}")
            await remove(self.aws, left)
            await self.sleep(PAUSES.delay(number))
        if looks < LOOKS:
            return
        left = await leftovers(self.aws, self.spec.cluster_name)
        if left.names:
            raise AwsError(
                "Something of the cluster cannot be removed.",
                details=left.names,
                remedy="Remove it by hand, and repeat the command",
            )

    async def _keep_data(self, found: FoundStacks) -> None:
        """Let CloudFormation leave the data when it deletes the base stack: nothing else changes in it.

        A stack whose creation failed cannot be changed, and has no data yet.
        """
        base = found.base
        if base is None or step_to_have(base.status) in (StackStep.CREATE, StackStep.DELETE):
            return
        await self.stacks.ready(base.name)
        template = keeping_data(await self.stacks.template(base.name))
        wanted = WantedStack(name=base.name, template=template, parameters=base.parameters, tags=base.tags)
        await self.stacks.apply(wanted)

    async def _remove_logs_of_control_plane(self) -> None:
        """Delete the log group that EKS writes to: after the stack, EKS may have made it once more."""
        await self._delete_log_group(control_plane_log_group(self.spec.cluster_name))

    async def _delete_data(self) -> None:
        """Delete data that an earlier cluster of this name had left, which no stack has."""
        bucket = bucket_name(self.spec, self.account)
        try:
            await self.aws.call("s3", "delete_bucket", Bucket=bucket)
        except AwsNotFound:
            pass
        await self._delete_log_group(log_group(self.spec.cluster_name))

    async def _delete_log_group(self, name: str) -> None:
        try:
            await self.aws.call("logs", "delete_log_group", logGroupName=name)
        except AwsNotFound:
            pass

    def _emptied(self, objects: int) -> None:
        self.report(f"{objects} objects of the bucket are deleted")
