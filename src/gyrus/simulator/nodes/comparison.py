"""A demand curve under several policies for nodes, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.simulator.nodes.demand_curve import DemandCurve
from gyrus.simulator.nodes.node_fleet import STEP, WARM_UP
from gyrus.simulator.nodes.policies.by_name import COMPARED_SCALERS, POLICIES
from gyrus.simulator.nodes.world import NodesWorld, NodeTotals, WorldRules


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
            counting = True
            world.start_count()
        world.require(demand.at(world.now))
        world.carry_out(plan(world.observe()))
        world.advance(STEP)
    return NodesRun(policy=policy, hours=hours, totals=world.totals)


def compare_nodes(
    demand: DemandCurve, rules: WorldRules, hours: float, policies: Sequence[str] = COMPARED_SCALERS
) -> list[NodesRun]:
    """Simulate the policies in the same world: the same demand, market and start-up times."""
    return [simulate_nodes(policy, demand, rules, hours) for policy in policies]
