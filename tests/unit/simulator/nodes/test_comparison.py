"""gyrus's planner beside the others, in the same virtual world."""

from __future__ import annotations

import pytest

from gyrus.simulator.nodes.comparison import compare_nodes, simulate_nodes
from gyrus.simulator.nodes.demand_curve import DemandCurve
from gyrus.simulator.nodes.policies.by_name import COMPARED_SCALERS, POLICIES
from gyrus.simulator.nodes.spot_market import MarketRules, SpotMarket, SpotShortage
from gyrus.simulator.nodes.world import WorldRules
from support.nodes import SMALL, group

DEMAND = DemandCurve((0.0, 1200.0, 2400.0), (6, 12, 9), 3600.0)


def rules(market: SpotMarket) -> WorldRules:
    return WorldRules(groups=(group(),), requests=SMALL, markets={"cpu": market})


def seeded(seed: int = 1) -> WorldRules:
    return rules(SpotMarket("cpu", 20_000, MarketRules(), seed))


class SilentShortage(SpotMarket):
    """No spot instance ever comes, and no activity fails."""

    def shortage(self, now: float) -> SpotShortage | None:
        return SpotShortage(0.0, 1e9, True)


def test_equal_worlds_give_equal_results() -> None:
    assert simulate_nodes("gyrus", DEMAND, seeded(), 0.5) == simulate_nodes("gyrus", DEMAND, seeded(), 0.5)


def test_all_policies_serve_and_on_demand_costs_most() -> None:
    runs = {run.policy: run for run in compare_nodes(DEMAND, seeded(), 1.0)}
    assert tuple(runs) == COMPARED_SCALERS
    assert all(run.short_share < 0.1 for run in runs.values())
    assert max(runs.values(), key=lambda run: run.dollars_per_hour).policy == "on-demand"
    assert runs["on-demand"].spot_share == 0.0
    assert runs["gyrus"].spot_share > 0.5


@pytest.mark.parametrize(("policy", "least", "most"), [("gyrus", 80, 120), ("cluster-autoscaler", 470, 510)])
def test_the_fall_back_to_on_demand(policy: str, least: float, most: float) -> None:
    """After a silent shortage of spot: the time of the first instance's launch."""
    from gyrus.simulator.nodes.world import NodesWorld

    world = NodesWorld(rules(SilentShortage("cpu", 20_000, MarketRules(), 1)))
    world.require(3)
    while not world.instances and world.now < 1000:
        world.carry_out(POLICIES[policy](world.observe()))
        world.advance(10)
    assert least <= world.now <= most
