"""Replicas that need nodes: they wait for them, move and are lost with them, and so do their requests."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.simulator.nodes.cluster_figures import cluster_figures
from gyrus.simulator.nodes.cluster_run import ClusterRun, simulate_cluster
from gyrus.simulator.nodes.node_fleet import WARM_UP
from gyrus.simulator.nodes.policies.by_name import COMPARED_SCALERS
from gyrus.simulator.nodes.spot_market import InstanceFate, MarketRules, SpotMarket, SpotShortage
from gyrus.simulator.nodes.world import WorldRules
from gyrus.simulator.offered_load import OfferedLoad
from gyrus.simulator.run import SimulatedResult
from gyrus.simulator.service import Fixed
from support.examples import examples
from support.nodes import SMALL, group
from support.simulations import Script, offered_load, rules, waits

ANSWERED, LOST = SimulatedResult.ANSWERED, SimulatedResult.LOST


class FirstIsInterrupted(SpotMarket):
    """EC2 warns the first instance at a time, in seconds from the first request, and has no other spot."""

    def __init__(self, at: float) -> None:
        super().__init__("cpu", 1.0, MarketRules(), 1)
        self._at = at + WARM_UP

    def shortage(self, now: float) -> SpotShortage | None:
        return SpotShortage(self._at, 1e9, silent=True) if now >= self._at else None

    def fate(self, number: int, launched_at: float) -> InstanceFate:
        return InstanceFate(self._at if number == 1 else 1e9, 1e9)


def ran(
    load: OfferedLoad,
    policy: Script,
    scaler: str = "gyrus",
    world: dict[str, Any] | None = None,
    **changes: Any,
) -> ClusterRun:
    usual: dict[str, Any] = {
        "groups": (group(),), "requests": SMALL, "pod_startup": Fixed(30.0), "node_startup": Fixed(120.0),
    }  # fmt: skip
    return simulate_cluster(
        load,
        rules(**{"timeout": 600.0, "hold": 600.0} | changes),
        policy,
        WorldRules(**usual | (world or {})),
        scaler,
    )


def steady(seconds: int, every: float = 1.0, service: float = 0.5) -> OfferedLoad:
    return offered_load(*((number * every, service) for number in range(int(seconds / every))))


def test_the_first_replicas_are_ready_at_once() -> None:
    found = ran(steady(100), Script(initial=3))
    assert max(waits(found.run)) == 0.0
    assert found.totals.node_seconds == pytest.approx(found.run.ended)
    assert found.totals.dollars == pytest.approx(0.07 * found.run.ended / 3600)


def test_a_replica_on_a_node_with_capacity_starts_in_its_own_time() -> None:
    found = ran(steady(100, service=20), Script((10, 2), initial=1), slots=40)
    first = next(look.at for look in found.run.looks if look.ready == 2)
    assert 40 <= first <= 42


def test_a_replica_without_a_node_waits_for_one() -> None:
    """The decision at 10 s, the next plan, the launch at the step after it, 120 s and 30 s."""
    found = ran(steady(300), Script((10, 4), initial=3))
    first = next(look.at for look in found.run.looks if look.ready == 4)
    assert 170 <= first <= 192
    assert found.totals.launches == 1


def test_requests_wait_for_the_first_node_of_all() -> None:
    found = ran(offered_load((0.0, 1.0)), Script((0, 1), initial=0))
    [wait] = waits(found.run)
    assert 150 <= wait <= 180


def test_replicas_of_an_interrupted_node_move_in_time() -> None:
    market = FirstIsInterrupted(at=100)
    found = ran(steady(600), Script(initial=2), world={"markets": {"cpu": market}})
    assert Counter(found.run.outcomes) == {ANSWERED: 600}
    assert (found.totals.warnings, found.totals.interruptions, found.totals.lost_pods) == (1, 0, 0)
    gone = [look.at for look in found.run.looks if not look.ready]
    assert 190 <= min(gone) <= 200, "30 s before the end, without a replacement, requests are held"


def test_long_requests_of_an_interrupted_node_are_lost() -> None:
    """Requests of 100 s, of which those that start in the last seconds before the end at 220 s are lost."""
    market = FirstIsInterrupted(at=100)
    load = steady(400, every=10, service=100)
    found = ran(load, Script(initial=2), world={"markets": {"cpu": market}}, slots=20)
    lost = [
        arrival for arrival, outcome in zip(load.arrivals, found.run.outcomes, strict=True) if outcome == LOST
    ]
    assert lost
    assert min(lost) > 120
    assert max(lost) <= 190, "30 s before the end, the replicas get no more requests"
    assert cluster_figures(found, None).data()["lost"] == len(lost)


def test_a_leaving_replica_finishes_its_requests_before_its_node_ends() -> None:
    load = offered_load(*((float(at), 200.0) for at in range(20)), (1500.0, 1.0))
    found = ran(load, Script((30, 1), initial=9), slots=5)
    assert Counter(found.run.outcomes) == {ANSWERED: 21}
    assert found.samples[-1].spot == 1


def test_equal_seeds_give_equal_results() -> None:
    def once(seed: int) -> list[float]:
        world = {"markets": {"cpu": SpotMarket("cpu", 10_000, MarketRules.at_rate(0.9), seed)}, "seed": seed}
        found = ran(steady(2000), Script((500, 9), (900, 3), initial=6), world=world)
        return [found.totals.dollars, *found.run.begun]

    assert once(1) == once(1) != once(2)


@settings(max_examples=examples(0.04))
@given(
    seed=st.integers(0, 1000),
    scaler=st.sampled_from([*COMPARED_SCALERS, "none"]),
    steps=st.lists(st.tuples(st.integers(1, 900), st.integers(0, 20)), max_size=6),
    service=st.sampled_from([0.5, 30.0, 200.0]),
)
def test_each_request_ends_once(seed: int, scaler: str, steps: list[tuple[int, int]], service: float) -> None:
    random = Random(seed)
    load = offered_load(*((random.uniform(0, 1200), random.expovariate(1 / service)) for _ in range(150)))
    market = SpotMarket("cpu", 20_000, MarketRules(lifetime=900, available=600, shortage=300), seed)
    world = {"groups": (group(max_nodes=6),), "markets": {"cpu": market}, "seed": seed}
    found = ran(load, Script(*steps, initial=2), scaler, world, slots=2, hold=120.0, timeout=300.0)
    outcomes = Counter(found.run.outcomes)
    assert SimulatedResult.PENDING not in outcomes
    figures = cluster_figures(found, None)
    assert sum(outcomes.values()) == 150
    assert figures.late >= 0
    assert found.totals.dollars == pytest.approx(found.samples[-1].dollars)
    assert all(one.spot + one.on_demand <= 6 for one in found.samples)
    assert not outcomes[LOST] or found.totals.lost_pods
