"""Interruptions, recommendations to replace, and the return to spot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.state import (
    LeavingNode,
    NodeNotice,
    NodesMemory,
    NodeState,
    NoticeKind,
    PoolRecord,
)
from support.nodes import NOW, ON_DEMAND, desired, group, node, planned, pods_on, reasons, state


def warning(name: str, at: float = NOW) -> tuple[NodeNotice, ...]:
    return (NodeNotice(node=name, kind=NoticeKind.INTERRUPTION, at=at, ends_at=at + 120),)


def advice(name: str) -> tuple[NodeNotice, ...]:
    return (NodeNotice(node=name, kind=NoticeKind.REBALANCE, at=NOW),)


def cordoned(plan: NodePlan) -> list[str]:
    return [step.node for step in plan.cordon]


def drained(plan: NodePlan) -> list[str]:
    return [step.node for step in plan.drain]


def test_an_interrupted_node_is_cordoned_and_replaced_at_once() -> None:
    plan = planned(nodes=[node("a")], pods=tuple(pods_on("a", 3)), notices=warning("a"))
    assert cordoned(plan) == ["a"]
    assert plan.cordon[0].reason == "EC2 interrupts this spot instance"
    assert drained(plan) == []
    assert desired(plan) == {"cpu/spot": 2}


def test_an_interrupted_node_is_drained_at_once_if_the_others_can_take_its_pods() -> None:
    nodes = [node("a"), node("b")]
    plan = planned(nodes=nodes, pods=tuple(pods_on("a", 3)), notices=warning("a"))
    assert (cordoned(plan), drained(plan)) == (["a"], ["a"])
    assert desired(plan) == {"cpu/spot": 2}


def test_an_interrupted_node_is_drained_before_its_end_in_any_case() -> None:
    plan = planned(nodes=[node("a")], pods=tuple(pods_on("a", 3)), notices=warning("a", at=NOW - 45))
    assert drained(plan) == ["a"]


def test_an_interrupted_node_without_pods_ends() -> None:
    plan = planned(nodes=[node("a")], notices=warning("a"))
    assert [(step.node, step.reason) for step in plan.end] == [("a", "EC2 interrupts this spot instance")]
    assert desired(plan) == {}


def test_a_decision_stands_when_the_notice_is_no_longer_there() -> None:
    memory = NodesMemory(leaving={"a": LeavingNode(reason="why", since=NOW - 60, draining=True)})
    plan = planned(nodes=[node("a", cordoned=True)], pods=tuple(pods_on("a", 1)), memory=memory)
    assert (cordoned(plan), drained(plan)) == ([], ["a"])
    assert plan.memory.leaving == memory.leaving


def test_after_advice_the_replacement_comes_first() -> None:
    known: dict[str, Any] = {"pods": tuple(pods_on("a", 3)), "notices": advice("a")}
    plan = planned(nodes=[node("a")], **known)
    assert (cordoned(plan), drained(plan)) == ([], [])
    assert desired(plan) == {"cpu/spot": 2}
    assert reasons(plan, "cpu/spot") == ("replaces a: EC2 recommends to replace this instance",)
    starting = [node("a"), node("b", state=NodeState.STARTING, launched_at=NOW)]
    assert drained(planned(nodes=starting, **known)) == []
    assert drained(planned(nodes=[node("a"), node("b", launched_at=NOW)], **known)) == ["a"]


def test_a_pod_that_may_not_move_keeps_its_node() -> None:
    pods = tuple(pods_on("a", 1, may_move=False))
    plan = planned(nodes=[node("a"), node("b")], pods=pods, notices=advice("a"))
    assert drained(plan) == []


def test_an_old_on_demand_node_is_replaced_by_spot_and_then_drained() -> None:
    pods = tuple(pods_on("a", 3))
    plan = planned(nodes=[node("a", ON_DEMAND)], pods=pods)
    assert desired(plan) == {"cpu/on-demand": 1, "cpu/spot": 1}
    assert reasons(plan, "cpu/spot") == ("replaces a: spot is available again",)
    assert drained(plan) == []
    both = [node("a", ON_DEMAND), node("b", launched_at=NOW)]
    assert drained(planned(nodes=both, pods=pods, memory=plan.memory)) == ["a"]


def test_a_return_goes_on_when_the_group_has_reached_its_maximum() -> None:
    full = group(max_nodes=2)
    pods = tuple(pods_on("a", 3))
    first = planned(full, nodes=[node("a", ON_DEMAND)], pods=pods)
    again = planned(
        full, nodes=[node("a", ON_DEMAND)], pods=pods, desired={"cpu/spot": 1}, memory=first.memory
    )
    assert desired(again) == desired(first) == {"cpu/on-demand": 1, "cpu/spot": 1}


def test_a_return_that_fails_leaves_everything_as_it_was() -> None:
    known: dict[str, Any] = {"nodes": [node("a", ON_DEMAND)], "pods": tuple(pods_on("a", 3))}
    first = planned(**known)
    second = planned(
        **known, desired={"cpu/spot": 1}, memory=first.memory, pools={"cpu/spot": {"failed_at": NOW}}
    )
    assert desired(second) == {"cpu/on-demand": 1}
    assert (second.drain, second.memory.replaced) == ((), {})


def test_on_demand_nodes_stay() -> None:
    pods = tuple(pods_on("a", 3))
    stays = {"cpu/on-demand": 1}
    young = [node("a", ON_DEMAND, launched_at=NOW - 119)]
    assert desired(planned(nodes=young, pods=pods)) == stays, "too young"
    old = [node("a", ON_DEMAND)]
    assert desired(planned(group(on_demand_base=1), nodes=old, pods=pods)) == stays, "the base"
    barred = NodesMemory(pools={"cpu/spot": PoolRecord(failures=1, failed_at=NOW, barred_until=NOW + 1)})
    assert desired(planned(nodes=old, pods=pods, memory=barred)) == stays, "spot is barred"
    assert desired(planned(group(max_nodes=1), nodes=old, pods=pods)) == stays, "no place for another"


def test_a_group_of_lower_priority_without_spot_returns_to_the_preferred_group() -> None:
    groups = (group(priority=100), group("backup", spot=False))
    plan = planned(*groups, nodes=[node("a", ON_DEMAND, group="backup")], pods=tuple(pods_on("a", 3)))
    assert desired(plan) == {"backup/on-demand": 1, "cpu/spot": 1}
    assert plan.memory.replaced == {"a": "cpu/spot"}


def test_at_most_a_quarter_of_a_group_returns_at_once() -> None:
    nodes = [node(f"n{number}", ON_DEMAND) for number in range(8)]
    pods = tuple(pod for one in nodes for pod in pods_on(one.name, 3))
    plan = planned(group(max_nodes=20), nodes=nodes, pods=pods)
    assert desired(plan) == {"cpu/on-demand": 8, "cpu/spot": 2}


def test_a_lost_node_is_replaced_at_once_and_ends_later_with_its_pods() -> None:
    pods = tuple(pods_on("a", 3))
    plan = planned(nodes=[node("a", lost_since=NOW - 299)], pods=pods)
    assert (desired(plan), plan.end) == ({"cpu/spot": 2}, ())
    plan = planned(nodes=[node("a", lost_since=NOW - 300)], pods=pods, desired={"cpu/spot": 2})
    assert [step.reason for step in plan.end] == ["Kubernetes has not heard of the node for 300 s"]
    assert desired(plan) == {"cpu/spot": 1}


def test_an_instance_that_never_becomes_a_node_ends() -> None:
    stuck = node("a", state=NodeState.STARTING, launched_at=NOW - 900)
    plan = planned(nodes=[stuck])
    assert [step.reason for step in plan.end] == ["the instance is no ready node after 900 s"]
    young = replace(stuck, launched_at=NOW - 899)
    assert plan_nodes(state(nodes=[young])).end == ()
