"""The stacks of one cluster: those that its cluster.yaml asks for, and those that exist."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.resource_names import base_stack, cluster_tags, group_prefix, group_stack
from gyrus.cluster.aws.stack_state import StackStatus, StackStep, step_to_have
from gyrus.cluster.aws.stacks import Stacks, WantedStack
from gyrus.cluster.aws.templates.account_facts import AccountFacts, DataState
from gyrus.cluster.aws.templates.base_stack import render_base
from gyrus.cluster.aws.templates.control_plane import ON_SOME_NODES, addon_name
from gyrus.cluster.aws.templates.group_stack import PARAMETERS, render_group
from gyrus.cluster.aws.templates.storage import BUCKET

Zones = Mapping[str, Sequence[str]]
"""By node group: the zones in which its instance types are offered."""


@dataclass(frozen=True, slots=True)
class FoundStacks:
    """The stacks that exist."""

    base: StackStatus | None
    groups: Mapping[str, StackStatus]
    """By node group."""

    @property
    def any(self) -> bool:
        return self.base is not None or bool(self.groups)


@dataclass(frozen=True, slots=True)
class ClusterStacks:
    """Renders and applies the stacks of a cluster."""

    spec: ClusterSpec
    stacks: Stacks
    facts: AccountFacts
    zones: Zones

    async def found(self) -> FoundStacks:
        """Return the stacks that exist now. Raises AwsError."""
        return await found_stacks(self.stacks, self.spec.cluster_name)

    async def outputs(self) -> Mapping[str, str]:
        """Return the outputs of the base stack as it is now. Raises AwsError."""
        base = await self.stacks.find(base_stack(self.spec.cluster_name))
        return base.outputs if base else {}

    def base(self) -> WantedStack:
        """Return the base stack."""
        return WantedStack(
            name=base_stack(self.spec.cluster_name),
            template=render_base(self.spec, self.facts),
            tags=cluster_tags(self.spec),
        )

    def group(self, group: NodeGroup, base: Mapping[str, str]) -> WantedStack:
        """Return the stack of a node group. ``base``: the outputs of the base stack."""
        parameters = {name: base[name] for name in PARAMETERS}
        return WantedStack(
            name=group_stack(self.spec.cluster_name, group.name),
            template=render_group(self.spec, group),
            parameters=parameters | {"Subnets": subnets_of(base, self.zones.get(group.name, ()))},
            tags=cluster_tags(self.spec),
        )

    async def apply_base(self) -> StackStatus:
        """Bring the base stack to what is wanted. Raises AwsError."""
        return await self.stacks.apply(self.base())

    async def apply_groups(self, base: Mapping[str, str]) -> None:
        """Bring all group stacks to what is wanted, at the same time. Raises AwsError."""
        async with asyncio.TaskGroup() as tasks:
            for group in self.spec.node_groups:
                wanted = self.group(group, base)
                tasks.create_task(self.stacks.apply(wanted), name=f"apply {wanted.name}")

    def changed(self, facts: AccountFacts) -> ClusterStacks:
        """Return the stacks with other facts about the account."""
        return replace(self, facts=facts)


async def stack_facts(
    stacks: Stacks, cluster: str, facts: AccountFacts, has_data: Callable[[], Awaitable[bool]]
) -> AccountFacts:
    """Return the facts of a cluster whose base stack may exist: what it has decided stays. Raises AwsError.

    ``facts`` are those for a new base stack. One that is under way is waited for, and one that failed when it
    was created is deleted. Only then ``has_data`` shows if an earlier cluster has left data.
    """
    base = await stacks.ready(base_stack(cluster))
    if base is None or step_to_have(base.status) is StackStep.CREATE:
        return replace(facts, data=DataState.FOUND if await has_data() else DataState.OWN)
    resources = await stacks.resources(base.name)
    zones = tuple(base.outputs["Zones"].split(",")) if "Zones" in base.outputs else facts.zones
    return replace(
        facts,
        zones=zones,
        data=DataState.OWN if BUCKET in resources else DataState.FOUND,
        nodes_exist=any(addon_name(name) in resources for name in ON_SOME_NODES),
    )


def subnets_of(base: Mapping[str, str], zones: Sequence[str]) -> str:
    """Return the subnets of these zones, joined by commas. All of them if there are none in these zones.

    >>> subnets_of({"Subnets": "s-1,s-2", "Zones": "eu-west-1a,eu-west-1b"}, ["eu-west-1b"])
    's-2'
    """
    subnets, placed = base["Subnets"].split(","), base["Zones"].split(",")
    chosen = [subnet for subnet, zone in zip(subnets, placed, strict=True) if zone in zones]
    return ",".join(chosen or subnets)


async def found_stacks(stacks: Stacks, cluster: str) -> FoundStacks:
    """Return the stacks of a cluster that exist now. Raises AwsError."""
    prefix = group_prefix(cluster)
    base, groups = await asyncio.gather(stacks.find(base_stack(cluster)), stacks.named(prefix))
    return FoundStacks(base, {stack.name.removeprefix(prefix): stack for stack in groups})
