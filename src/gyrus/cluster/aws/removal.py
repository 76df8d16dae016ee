"""The removal of a cluster from AWS, whatever of it exists. It may be interrupted and repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gyrus.cluster.aws.bucket import empty_bucket
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import ClusterStacks, FoundStacks, found_stacks, stack_facts
from gyrus.cluster.aws.creation import ReportLine
from gyrus.cluster.aws.errors import AwsError, AwsNotFound
from gyrus.cluster.aws.group_sizes import end_groups
from gyrus.cluster.aws.leftovers import leftovers, remove
from gyrus.cluster.aws.resource_names import bucket_name, control_plane_log_group, log_group
from gyrus.cluster.aws.stack_state import StackStep, step_to_have
from gyrus.cluster.aws.stacks import Stacks
from gyrus.cluster.aws.templates.account_facts import AccountFacts, DataState

TRIES = 40
"""Looks at leftovers that are still in use, with up to 5 s between them."""


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
        found = await found_stacks(self.stacks, name)
        await end_groups(self.aws, name, sleep=self.sleep)
        async with asyncio.TaskGroup() as tasks:
            for stack in found.groups.values():
                tasks.create_task(self.stacks.delete(stack.name), name=f"delete {stack.name}")
        await self._remove_leftovers()
        if self.keep_data:
            await self._keep_data(found)
        else:
            await empty_bucket(self.aws, bucket_name(self.spec, self.account), self._emptied)
        if found.base is not None:
            await self.stacks.delete(found.base.name, clear=self._remove_leftovers)
        await self._remove_logs_of_control_plane()
        if not self.keep_data:
            await self._delete_data()

    async def _remove_leftovers(self) -> None:
        """Remove what the cluster's programs made, and wait until it is gone."""
        for number in range(TRIES):
            left = await leftovers(self.aws, self.spec.cluster_name)
            if not left.names:
                return
            if number == 0:
                self.report(f"Left by the cluster, and removed: {', '.join(left.names)}")
            await remove(self.aws, left)
            await self.sleep(min(0.2 * 1.5**number, 5))
        left = await leftovers(self.aws, self.spec.cluster_name)
        raise AwsError(
            "Something of the cluster cannot be removed.",
            details=left.names,
            remedy="Remove it by hand, and repeat the command",
        )

    async def _keep_data(self, found: FoundStacks) -> None:
        """Let CloudFormation leave the data when it deletes the base stack.

        A stack whose creation failed cannot be changed, and has no data yet.
        """
        base = found.base
        if base is None or step_to_have(base.status) in (StackStep.CREATE, StackStep.DELETE):
            return
        facts = await stack_facts(self.stacks, self.spec.cluster_name, AccountFacts())
        if facts.data is DataState.FOUND:
            return  # an earlier cluster left the data, and the stack does not have it
        parts = ClusterStacks(self.spec, self.stacks, replace(facts, data=DataState.KEPT), {})
        await parts.apply_base()

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
