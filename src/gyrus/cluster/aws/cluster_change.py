"""The changes that bring a cluster to its cluster.yaml: prepared, judged, carried out group by group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_stacks import ClusterStacks
from gyrus.cluster.aws.errors import ChangeRefused, NoCluster
from gyrus.cluster.aws.group_sizes import end_groups, suspend_rebalance
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup
from gyrus.cluster.aws.resource_names import group_prefix
from gyrus.cluster.aws.stack_state import ResourceChange, StackStatus, StackStep, step_to_have
from gyrus.cluster.aws.stacks import PreparedChange
from gyrus.cluster.aws.templates.group_stack import scaling_resource
from gyrus.nodes.state import CapacityType

SCALING = "AWS::AutoScaling::AutoScalingGroup"
FIXED: Mapping[str, frozenset[str]] = {
    "AWS::EKS::Cluster": frozenset({"Name", "RoleArn", "KubernetesNetworkConfig", "EncryptionConfig"}),
    "AWS::EC2::VPC": frozenset({"CidrBlock"}),
    "AWS::EC2::Subnet": frozenset({"AvailabilityZone", "CidrBlock", "VpcId"}),
    "AWS::S3::Bucket": frozenset({"BucketName"}),
}
"""By type of a resource: properties whose change would replace it, and with it the cluster or its data."""


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """A cluster's change, ready to be carried out."""

    base: PreparedChange | None
    groups: tuple[PreparedChange, ...]
    """New and changed node groups."""
    removed: tuple[str, ...]
    """Node groups that exist and that cluster.yaml lacks."""

    @property
    def is_empty(self) -> bool:
        return self.base is None and not self.groups and not self.removed

    @property
    def changes(self) -> tuple[ResourceChange, ...]:
        """The changes of all stacks, line by line."""
        prepared = (*((self.base,) if self.base else ()), *self.groups)
        return tuple(change for one in prepared for change in one.changes)


def refusals(changes: Iterable[ResourceChange]) -> list[str]:
    """Return the changes that would replace or remove what holds the cluster or its data."""
    return [
        f"{change.resource} ({change.type}) would be {_fate(change)}"
        for change in changes
        if change.type in FIXED and _fate(change)
    ]


def _fate(change: ResourceChange) -> str:
    if change.action == "Remove":
        return "removed"
    fixed = FIXED[change.type] & set(change.properties)
    return f"replaced, since {', '.join(sorted(fixed))} changes" if change.replaced and fixed else ""


async def prepare_change(parts: ClusterStacks) -> ClusterChange:
    """Prepare all changes at the same time. Raises AwsError, and ChangeRefused with nothing prepared."""
    found = await parts.found()
    if found.base is None or step_to_have(found.base.status) is StackStep.CREATE:
        raise NoCluster(parts.spec.cluster_name, parts.spec.region)
    outputs = found.base.outputs
    async with asyncio.TaskGroup() as tasks:
        base = tasks.create_task(parts.stacks.prepare(parts.base()), name="prepare the base stack")
        groups = [
            tasks.create_task(parts.stacks.prepare(parts.group(group, outputs)), name=f"prepare {group.name}")
            for group in parts.spec.node_groups
        ]
    wanted = {group.name for group in parts.spec.node_groups}
    change = ClusterChange(
        base=base.result(),
        groups=tuple(filter(None, (task.result() for task in groups))),
        removed=tuple(sorted(found.groups.keys() - wanted)),
    )
    if faults := refusals(change.changes):
        await discard(parts, change)
        raise ChangeRefused(parts.spec.cluster_name, faults)
    return change


async def discard(parts: ClusterStacks, change: ClusterChange) -> None:
    """Remove everything that was prepared. Raises AwsError."""
    prepared = (*((change.base,) if change.base else ()), *change.groups)
    async with asyncio.TaskGroup() as tasks:
        for one in prepared:
            tasks.create_task(parts.stacks.discard(one), name=f"discard {one.wanted.name}")


@dataclass(frozen=True, slots=True)
class ChangeExecution:
    """Carries out a change."""

    aws: AwsCaller
    parts: ClusterStacks
    renew: Callable[[str], Awaitable[None]]
    """Waits until all nodes of a stack's group are as its template describes them."""
    empty: Callable[[str, str | None], Awaitable[None]]
    """Empties the nodes of a group, or those of one capacity type, that are about to be removed."""

    async def run(self, change: ClusterChange) -> None:
        """Carry out a change, one node group after the other. Raises AwsError."""
        stacks = self.parts.stacks
        if change.base is not None:
            await stacks.execute(change.base)
        for prepared in sorted(change.groups, key=lambda one: not one.creates):
            await self._end_removed(prepared)
            await stacks.execute(prepared)
            if prepared.creates and self.parts.spec.scaler == "gyrus":
                await suspend_rebalance(self.aws, self.parts.spec.cluster_name)
            await self.renew(prepared.wanted.name)
        found = await self.parts.found()
        for name in change.removed:
            await self._remove(name, found.groups.get(name))

    async def _end_removed(self, prepared: PreparedChange) -> None:
        """End the instances of a capacity type that a group no longer has, after their pods have moved."""
        group = prepared.wanted.name.removeprefix(group_prefix(self.parts.spec.cluster_name))
        removed = {one.resource for one in prepared.changes if one.action == "Remove" and one.type == SCALING}
        for capacity in CapacityType:
            if scaling_resource(capacity) in removed:
                await self._end_nodes(group, capacity)

    async def _end_nodes(self, group: str, capacity: str | None) -> None:
        """Empty nodes and end them: CloudFormation would wait for ever for protected instances."""
        await self.empty(group, capacity)

        def is_chosen(found: ObservedGroup) -> bool:
            return found.group == group and capacity in (None, found.capacity)

        await end_groups(self.aws, self.parts.spec.cluster_name, is_chosen)

    async def _remove(self, name: str, stack: StackStatus | None) -> None:
        await self._end_nodes(name, None)
        if stack is not None:
            await self.parts.stacks.delete(stack.name)
