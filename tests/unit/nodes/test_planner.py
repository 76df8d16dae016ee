"""Properties of whole plans, in virtual worlds whose pools answer, fail or are slow at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import (
    CapacityType,
    NodeScaler,
    NodesState,
    NoticeKind,
    PendingPod,
    PlannedGroup,
    pool_name,
)
from gyrus.simulator.nodes.policies.by_name import plan_on_demand
from gyrus.simulator.nodes.spot_market import MarketRules, SpotMarket
from gyrus.simulator.nodes.world import NodesWorld, WorldRules
from support.examples import examples
from support.nodes import SMALL, gpu_group, group, instance_type, node, pending, planned, pods_on, state

STEP = 10.0
PER_NODE = 3
"""Pods on each node of the worlds below."""

HARD = MarketRules(lifetime=3000, available=1200, shortage=600)
"""A market that fails every half hour."""


@st.composite
def groups(draw: st.DrawFn) -> tuple[PlannedGroup, ...]:
    found: list[PlannedGroup] = []
    for name in ("a", "b")[: draw(st.integers(1, 2))]:
        least = draw(st.integers(0, 2))
        changes: dict[str, Any] = {
            "min_nodes": least,
            "max_nodes": draw(st.integers(max(1, least), 12)),
            "priority": draw(st.integers(1, 2)),
            "spot": draw(st.booleans()),
            "on_demand_base": draw(st.integers(0, 2)),
            "on_demand_percentage": draw(st.sampled_from([0, 25, 100])),
        }
        found.append(group(name, instance_type(price=draw(st.sampled_from([0.2, 0.3]))), **changes))
    return tuple(found)


def world_of(groups: tuple[PlannedGroup, ...], seed: int, market: MarketRules = HARD) -> NodesWorld:
    markets = {one.name: SpotMarket(one.name, 20_000, market, seed) for one in groups}
    return NodesWorld(WorldRules(groups=groups, requests=SMALL, markets=markets, seed=seed))


Watch = Callable[[NodesState, NodePlan], None]


def watched(world: NodesWorld, demand: list[int], watch: Watch, every: int = 30) -> None:
    """Let each number of replicas be required for a while; see all plans."""
    for replicas in demand:
        world.require(replicas)
        for _ in range(every):
            before = world.observe()
            plan = plan_nodes(before)
            watch(before, plan)
            world.carry_out(plan)
            world.advance(STEP)


WORLDS = {
    "groups": groups(),
    "seed": st.integers(0, 1000),
    "demand": st.lists(st.integers(0, 30), min_size=2, max_size=6),
}


@settings(max_examples=examples(0.1))
@given(**WORLDS)
def test_there_is_capacity_for_what_is_required_if_some_pool_has_it(
    groups: tuple[PlannedGroup, ...], seed: int, demand: list[int]
) -> None:
    world = world_of(groups, seed)

    def watch(before: NodesState, plan: NodePlan) -> None:
        kept = sum(target.desired for target in plan.pools) - len(plan.memory.leaving)
        full = all(_desired(plan, one) >= one.max_nodes for one in groups)
        assert kept * PER_NODE >= world.required or full
        assert not plan.unplaced or full

    watched(world, demand, watch)


@settings(max_examples=examples(0.1))
@given(**WORLDS)
def test_desired_numbers_are_within_the_bounds(
    groups: tuple[PlannedGroup, ...], seed: int, demand: list[int]
) -> None:
    def watch(before: NodesState, plan: NodePlan) -> None:
        for one in groups:
            assert one.min_nodes <= _desired(plan, one) <= one.max_nodes
            assert one.spot or not plan.desired(pool_name(one.name, CapacityType.SPOT))

    watched(world_of(groups, seed), demand, watch)


@settings(max_examples=examples(0.1))
@given(**WORLDS)
def test_an_interrupted_node_is_drained_before_its_end(
    groups: tuple[PlannedGroup, ...], seed: int, demand: list[int]
) -> None:
    def watch(before: NodesState, plan: NodePlan) -> None:
        done = {step.node for step in (*plan.drain, *plan.end)}
        known = (
            {step.node for step in plan.cordon} | {one.name for one in before.nodes if one.cordoned} | done
        )
        for notice in before.notices:
            if notice.kind is NoticeKind.INTERRUPTION and notice.ends_at is not None:
                assert notice.node in known
                assert notice.node in done or notice.ends_at - before.now > before.settings.drain_before_end

    watched(world_of(groups, seed), demand, watch)


@settings(max_examples=examples(0.1))
@given(**WORLDS)
def test_a_plan_that_has_been_carried_out_leads_to_no_other(
    groups: tuple[PlannedGroup, ...], seed: int, demand: list[int]
) -> None:
    """As long as Kubernetes finds the places that the plan has found.

    Only a node whose drain the plan has begun may end now: its pods have moved at once here.
    """
    world = world_of(groups, seed)

    def watch(before: NodesState, plan: NodePlan) -> None:
        assert plan_nodes(before) == plan
        world.carry_out(plan)
        after = world.observe()
        if {pod.name for pod in after.pending} - {pod.name for pod in before.pending}:
            return
        again = plan_nodes(after)
        ended = {step.node for step in again.end}
        assert ended <= {step.node for step in plan.drain}
        pool_of = {node.name: node.pool for node in before.nodes}
        fewer = Counter(pool_of[name] for name in ended)
        assert [(one.pool, one.desired) for one in again.pools] == [
            (one.pool, one.desired - fewer[one.pool]) for one in plan.pools
        ]
        assert again.bar == ()

    watched(world, demand, watch)


@settings(max_examples=examples(0.1))
@given(groups=groups(), seed=st.integers(0, 1000), replicas=st.integers(0, 30))
def test_a_constant_load_on_a_calm_market_comes_to_rest(
    groups: tuple[PlannedGroup, ...], seed: int, replicas: int
) -> None:
    calm = MarketRules(lifetime=1e12, available=1e12)
    world = world_of(groups, seed, calm)
    watched(world, [replicas], lambda before, plan: None, every=360)
    before = (world.totals.launches, set(world.instances), world.totals.moved_pods)
    watched(world, [replicas], lambda before, plan: None, every=180)
    assert (world.totals.launches, set(world.instances), world.totals.moved_pods) == before
    assert world.serving == min(replicas, PER_NODE * sum(one.max_nodes for one in groups))


@settings(max_examples=examples(0.05))
@given(groups=groups(), seed=st.integers(0, 1000), replicas=st.integers(0, 30))
def test_under_a_constant_load_each_launch_has_a_cause(
    groups: tuple[PlannedGroup, ...], seed: int, replicas: int
) -> None:
    """A notice of EC2 leads to a replacement, and that one to a return to spot, if it is on demand."""
    world = world_of(groups, seed)
    watched(world, [replicas], lambda before, plan: None, every=90)
    known = set(world.instances)
    noticed: set[str] = set()
    launches = world.totals.launches

    def watch(before: NodesState, plan: NodePlan) -> None:
        noticed.update(notice.node for notice in before.notices)

    watched(world, [replicas], watch, every=360)
    returns = sum(one.endswith("on-demand") for one in (name.rpartition("/")[0] for name in known))
    assert world.totals.launches - launches <= 2 * len(noticed) + returns


@settings(max_examples=examples(0.05))
@given(**WORLDS)
def test_the_nodes_cost_no_more_than_all_on_demand(
    groups: tuple[PlannedGroup, ...], seed: int, demand: list[int]
) -> None:
    """Replacements overlap with what they replace, for some minutes: 5 % and a dime are allowed for them."""
    ours, dear = world_of(groups, seed), world_of(groups, seed)
    for replicas in demand:
        for world, plan in ((ours, plan_nodes), (dear, plan_on_demand)):
            world.require(replicas)
            for _ in range(60):
                world.carry_out(plan(world.observe()))
                world.advance(STEP)
    assert ours.totals.dollars <= dear.totals.dollars * 1.05 + 0.1


@settings(max_examples=examples(0.5))
@given(sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 28), st.integers(0, 1)), max_size=20))
def test_pods_of_any_size_get_nodes_that_fit(sizes: list[tuple[int, int, int]]) -> None:
    groups = (group(max_nodes=50), gpu_group(max_nodes=50))
    pods = tuple(
        PendingPod(
            name=f"p{number}", requests=NodeResources(cpu=cpu * 100, memory=memory * GIB // 2, gpu=gpu)
        )
        for number, (cpu, memory, gpu) in enumerate(sizes)
    )
    plan = planned(*groups, pending=pods)
    too_large = {pod.name for pod in pods if not pod.requests.fits(groups[1].allocatable)}
    assert {one.pod for one in plan.unplaced} == too_large
    placed = [pod for pod in pods if pod.name not in too_large]
    with_gpu = sum(pod.requests.gpu for pod in placed)
    assert plan.desired("gpu/spot") == with_gpu, "no GPU node for pods without GPUs"
    nodes = plan.desired("cpu/spot") + with_gpu
    assert sum(pod.requests.cpu for pod in placed) <= 3800 * nodes
    assert sum(pod.requests.memory for pod in placed) <= 14 * GIB * nodes
    assert nodes <= len(placed)
    desired = {one.pool: one.desired for one in plan.pools}
    assert plan_nodes(state(*groups, pending=pods, desired=desired, memory=plan.memory)).desired(
        "cpu/spot"
    ) == plan.desired("cpu/spot")


@pytest.mark.parametrize("scaler", [NodeScaler.KARPENTER, NodeScaler.NONE])
def test_nothing_is_planned_if_another_component_scales(scaler: NodeScaler) -> None:
    plan = planned(pending=pending(3), nodes=[node("a")], scaler=scaler)
    assert plan == NodePlan()


def test_a_cluster_without_groups_has_no_plan() -> None:
    assert plan_nodes(replace(state(), groups=(), pools=())) == NodePlan()


def test_a_thousand_pods_on_a_hundred_nodes_need_as_many_as_they_fill() -> None:
    nodes = [node(f"n{number}") for number in range(100)]
    pods = tuple(pod for one in nodes for pod in pods_on(one.name, 2))
    world = state(group(max_nodes=500), nodes=nodes, pods=pods, pending=pending(1000))
    assert plan_nodes(world).desired("cpu/spot") == 400
    coming = state(group(), nodes=nodes, desired={"cpu/spot": 400}).pools
    assert plan_nodes(replace(world, pools=coming)).desired("cpu/spot") == 400


def _desired(plan: NodePlan, one: PlannedGroup) -> int:
    return sum(plan.desired(pool_name(one.name, capacity)) for capacity in CapacityType)
