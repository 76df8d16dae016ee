"""The creation of a cluster on AWS: its stacks, its first nodes, gyrus on it.

Each step looks at what is there, so that a creation that was interrupted or that failed goes on when it is
repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_change import refusals
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import ClusterStacks
from gyrus.cluster.aws.eks import EksCluster, find_cluster
from gyrus.cluster.aws.errors import ChangeRefused, NoCluster
from gyrus.cluster.aws.first_nodes import first_sizes
from gyrus.cluster.aws.group_sizes import raise_sizes, suspend_rebalance
from gyrus.cluster.aws.stack_state import StackStatus

ReportLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Creation:
    """Creates one cluster, or changes it."""

    aws: AwsCaller
    parts: ClusterStacks
    report: ReportLine

    @property
    def spec(self) -> ClusterSpec:
        return self.parts.spec

    async def make_stacks(self) -> StackStatus:
        """Bring all stacks to what is wanted, and begin with the first nodes. Raises AwsError."""
        base = await self._make_base()
        await self.parts.apply_groups(base.outputs)
        if self.spec.scaler == "gyrus":
            await suspend_rebalance(self.aws, self.spec.cluster_name)
        for name in await raise_sizes(self.aws, self.spec.cluster_name, first_sizes(self.spec)):
            self.report(f"The first nodes of {name} start")
        return base

    async def _make_base(self) -> StackStatus:
        """Bring the base stack to what is wanted, unless that would replace a cluster that exists."""
        stacks, wanted = self.parts.stacks, self.parts.base()
        prepared = await stacks.prepare(wanted)
        if prepared is None:
            return await self.parts.apply_base()
        if not prepared.creates and (faults := refusals(prepared.changes)):
            await stacks.discard(prepared)
            raise ChangeRefused(self.spec.cluster_name, faults)
        return await stacks.execute(prepared)

    async def cluster(self) -> EksCluster:
        """Return the EKS cluster. Raises AwsError."""
        found = await find_cluster(self.aws, self.spec.cluster_name, self.spec.region)
        if found is None:
            raise NoCluster(self.spec.cluster_name, self.spec.region)
        return found

    async def finish_stacks(self) -> None:
        """Add what needs nodes, once nodes run. Raises AwsError."""
        await self.parts.changed(replace(self.parts.facts, nodes_exist=True)).apply_base()
