"""A demand curve under several policies for nodes, and what each costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.state import NodesState
from gyrus.simulator.nodes.demand_curve import DemandCurve
from gyrus.simulator.nodes.policies.cluster_autoscaler import plan_as_cluster_autoscaler
from gyrus.simulator.nodes.policies.karpenter import plan_as_karpenter
from gyrus.simulator.nodes.world import NodesWorld, NodeTotals, WorldRules

NodePolicy = Callable[[NodesState], NodePlan]
"""A way to plan nodes. What it remembers is in the plan's memory."""

STEP = 10.0
"""Seconds between two plans: cluster-autoscaler's ``scan-interval``."""
WARM_UP = 900.0
"""Seconds before the count begins, in which the first nodes start."""


def plan_on_demand(state: NodesState) -> NodePlan:
    """Plan as gyrus does, without spot."""
    return plan_nodes(replace(state, groups=tuple(replace(group, spot=False) for group in state.groups)))


POLICIES: dict[str, NodePolicy] = {
    "gyrus": plan_nodes,
    "cluster-autoscaler": plan_as_cluster_autoscaler,
    "karpenter": plan_as_karpenter,
    "on-demand": plan_on_demand,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesRun:
    """The result of one policy."""

    policy: str
    hours: float
    totals: NodeTotals

    @property
    def dollars_per_hour(self) -> float:
        return self.totals.dollars / self.hours

    @property
    def short_minutes(self) -> float:
        """Pod-minutes in which required replicas did not serve."""
        return self.totals.short / 60

    @property
    def short_share(self) -> float:
        return self.totals.short / self.totals.required if self.totals.required else 0.0

    @property
    def spot_share(self) -> float:
        return self.totals.spot_seconds / self.totals.node_seconds if self.totals.node_seconds else 0.0


def simulate_nodes(policy: str, demand: DemandCurve, rules: WorldRules, hours: float) -> NodesRun:
    """Simulate one policy. Equal arguments give equal results."""
    plan = POLICIES[policy]
    world = NodesWorld(rules)
    counting = False
    while world.now < WARM_UP + hours * 3600:
        if not counting and world.now >= WARM_UP:
            world.totals, counting = NodeTotals(), True
        world.require(demand.at(world.now))
        world.carry_out(plan(world.observe()))
        world.advance(STEP)
    return NodesRun(policy=policy, hours=hours, totals=world.totals)


def compare_nodes(
    demand: DemandCurve, rules: WorldRules, hours: float, policies: Sequence[str] = tuple(POLICIES)
) -> list[NodesRun]:
    """Simulate the policies in the same world: the same demand, market and start-up times."""
    return [simulate_nodes(policy, demand, rules, hours) for policy in policies]
