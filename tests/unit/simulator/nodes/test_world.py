"""The virtual cluster: instances start, fail, are interrupted and cost; pods wait, move and are lost."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.nodes.node_plan import NodePlan, NodeStep, PoolTarget
from gyrus.nodes.state import NodeState, NoticeKind
from gyrus.simulator.nodes.spot_market import InstanceFate, MarketRules, SpotMarket, SpotShortage
from gyrus.simulator.nodes.world import NodesWorld, WorldRules
from gyrus.simulator.service import Fixed
from support.nodes import SMALL, group


class Market(SpotMarket):
    """One shortage, and one fate for all instances."""

    def __init__(self, *shortages: SpotShortage, warned: float = 1e9, advised: float = 1e9) -> None:
        super().__init__("test", 1.0, MarketRules(), 1)
        self._found = shortages
        self._fate = InstanceFate(warned, advised)

    def shortage(self, now: float) -> SpotShortage | None:
        return next((one for one in self._found if one.start <= now < one.end), None)

    def fate(self, number: int, launched_at: float) -> InstanceFate:
        return self._fate


def world(market: SpotMarket | None = None, **changes: Any) -> NodesWorld:
    markets = {"cpu": market} if market else {}
    rules: dict[str, Any] = {
        "groups": (group(),),
        "requests": SMALL,
        "node_startup": Fixed(120.0),
        "markets": markets,
    }
    return NodesWorld(WorldRules(**rules | changes))


def want(cluster: NodesWorld, spot: int, **steps: Any) -> None:
    target = PoolTarget(pool="cpu/spot", was=0, desired=spot)
    cluster.carry_out(NodePlan(pools=(target,), **steps))


def started(replicas: int = 3, spot: int = 1, market: SpotMarket | None = None) -> NodesWorld:
    """After five minutes."""
    cluster = world(market)
    cluster.require(replicas)
    want(cluster, spot)
    for _ in range(30):
        cluster.advance(10)
    return cluster


def test_a_node_takes_two_minutes_and_a_pod_half_a_minute() -> None:
    cluster = world()
    cluster.require(3)
    want(cluster, 1)
    cluster.advance(10)
    assert [one.state for one in cluster.observe().nodes] == [NodeState.STARTING]
    cluster.advance(110)
    assert [one.state for one in cluster.observe().nodes] == [NodeState.STARTING]
    cluster.advance(10)
    assert [one.state for one in cluster.observe().nodes] == [NodeState.READY]
    assert cluster.serving == 0
    cluster.advance(30)
    assert cluster.serving == 3
    assert cluster.totals.short == 3 * 160


def test_pods_beyond_a_node_wait() -> None:
    assert len(started(replicas=5).observe().pending) == 2


def test_instances_cost_from_their_launch_on() -> None:
    cluster = started()
    assert cluster.totals.dollars == pytest.approx(0.07 * 290 / 3600)
    assert (cluster.totals.launches, cluster.totals.spot_seconds) == (1, 290)


@pytest.mark.parametrize("silent", [True, False])
def test_in_a_shortage_no_instance_comes(silent: bool) -> None:
    [pool, _] = started(market=Market(SpotShortage(0, 1000, silent))).observe().pools
    assert pool.waiting_since == 10
    assert pool.failed_at == (None if silent else 250)
    assert pool.failure == ("" if silent else "InsufficientInstanceCapacity")


def test_an_interruption_is_announced_and_happens() -> None:
    cluster = started(market=Market(warned=400, advised=310))
    cluster.advance(20)
    assert [one.kind for one in cluster.observe().notices] == [NoticeKind.REBALANCE]
    cluster.advance(80)
    [notice] = cluster.observe().notices
    assert (notice.kind, notice.at, notice.ends_at) == (NoticeKind.INTERRUPTION, 400, 520)
    cluster.advance(120)
    assert (cluster.totals.interruptions, cluster.totals.lost_pods) == (1, 3)
    assert len(cluster.observe().pending) == 3
    assert cluster.pools["cpu/spot"].desired == 1, "Auto Scaling replaces it"


def test_a_drained_pod_serves_until_its_replacement_does() -> None:
    cluster = started(spot=2)
    [name] = {pod.node for pod in cluster.observe().pods} & {"cpu/spot/1"}
    step = (NodeStep(node=name, reason="test"),)
    moved = sum(pod.node == name for pod in cluster.observe().pods)
    want(cluster, 2, cordon=step, drain=step)
    for _ in range(6):
        cluster.advance(10)
        assert cluster.serving >= 3
    assert {pod.node for pod in cluster.observe().pods} == {"cpu/spot/2"}
    assert (cluster.totals.moved_pods, cluster.totals.lost_pods) == (moved, 0)
    want(cluster, 1, end=step)
    assert [one.name for one in cluster.observe().nodes] == ["cpu/spot/2"]


def test_a_replacement_that_moves_too_leaves_no_pod_behind() -> None:
    cluster = started(spot=3)
    for name in ("cpu/spot/1", "cpu/spot/2"):
        step = (NodeStep(node=name, reason="test"),)
        want(cluster, 3, cordon=step, drain=step)
        cluster.advance(10)
    for _ in range(6):
        cluster.advance(10)
    assert [pod.node for pod in cluster.observe().pods] == ["cpu/spot/3"] * 3


def test_the_replacement_of_a_lost_pod_still_replaces() -> None:
    cluster = started(spot=3)
    step = (NodeStep(node="cpu/spot/1", reason="test"),)
    want(cluster, 3, cordon=step, drain=step)
    cluster.advance(10)
    want(cluster, 2, end=(NodeStep(node="cpu/spot/2", reason="test"),))
    for _ in range(8):
        cluster.advance(10)
    assert {pod.node for pod in cluster.observe().pods} == {"cpu/spot/3"}


def test_the_surplus_of_pods_ends() -> None:
    cluster = started(replicas=5)
    cluster.require(2)
    state = cluster.observe()
    assert (len(state.pods), len(state.pending)) == (2, 0)


def test_prices_are_those_of_the_market() -> None:
    market = Market()
    [one] = world(market).observe().groups[0].instance_types
    assert one.spot_price == pytest.approx(0.2 * market.price_share(0))
