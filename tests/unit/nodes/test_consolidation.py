"""Nodes that the others can replace end, after a while, and not all at once."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.nodes.state import NodesMemory, RequiredReplicas
from support.nodes import NOW, ON_DEMAND, SMALL, desired, group, node, planned, pods_on, reasons


def since(seconds: float, *names: str) -> NodesMemory:
    return NodesMemory(unneeded=dict.fromkeys(names, NOW - seconds))


def test_an_empty_node_stays_for_as_long_as_a_new_one_takes_to_start() -> None:
    first = planned(nodes=[node("a")])
    assert first.memory.unneeded == {"a": NOW}
    assert first.end == ()
    assert planned(nodes=[node("a")], memory=since(119, "a")).end == ()
    plan = planned(nodes=[node("a")], memory=since(120, "a"))
    assert [(step.node, step.reason) for step in plan.end] == [("a", "it has no pods, for 120 s")]
    assert desired(plan) == {}, "a group scales to zero"
    slow = group(startup=400.0)
    assert planned(slow, nodes=[node("a")], memory=since(399, "a")).end == ()
    assert planned(slow, nodes=[node("a")], memory=since(400, "a")).end != ()


def test_pods_that_fit_on_the_others_move_after_five_minutes() -> None:
    known: dict[str, Any] = {
        "nodes": [node("a"), node("b")],
        "pods": (*pods_on("a", 2), *pods_on("b", 1)),
    }
    first = planned(**known)
    assert first.memory.unneeded == {"b": NOW}
    plan = planned(**known, memory=since(300, "b"))
    assert [step.node for step in plan.cordon] == ["b"]
    assert [(step.node, step.reason) for step in plan.drain] == [
        ("b", "its pods fit on the others, for 300 s")
    ]
    assert plan.end == ()


def test_a_margin_stays_free_on_the_others() -> None:
    tight = (*pods_on("a", 2), *pods_on("b", 1, requests=type(SMALL)(cpu=1600)))
    assert planned(nodes=[node("a"), node("b")], pods=tight).memory.unneeded == {}


def test_the_node_that_was_unneeded_before_is_the_one_that_ends() -> None:
    nodes, pods = [node("a"), node("b")], (*pods_on("a", 1), *pods_on("b", 1))
    assert set(planned(nodes=nodes, pods=pods).memory.unneeded) == {"a"}
    assert set(planned(nodes=nodes, pods=pods, memory=since(60, "b")).memory.unneeded) == {"b"}


def test_the_dearer_node_ends_first() -> None:
    nodes = [node("a"), node("b", ON_DEMAND, launched_at=NOW - 10)]
    pods = (*pods_on("a", 1), *pods_on("b", 1))
    assert set(planned(nodes=nodes, pods=pods).memory.unneeded) == {"b"}


def test_the_minimum_stays() -> None:
    nodes = [node("a"), node("b"), node("c")]
    plan = planned(group(min_nodes=2), nodes=nodes, memory=since(9999, "a", "b", "c"))
    assert [step.node for step in plan.end] == ["a"]


def test_the_base_on_demand_stays() -> None:
    nodes = [node("a", ON_DEMAND), node("b")]
    plan = planned(group(on_demand_base=1, min_nodes=1), nodes=nodes, memory=since(9999, "a", "b"))
    assert [step.node for step in plan.end] == ["b"]


def test_required_replicas_keep_their_nodes() -> None:
    required = (RequiredReplicas(api="iris", replicas=6, requests=SMALL),)
    plan = planned(nodes=[node("a"), node("b")], pods=tuple(pods_on("a", 3)), required=required)
    assert plan.memory.unneeded == {}


def test_a_pod_that_may_not_move_keeps_its_node() -> None:
    pods = tuple(pods_on("a", 1, may_move=False))
    assert set(planned(nodes=[node("a"), node("b")], pods=pods).memory.unneeded) == {"b"}


def test_nodes_that_the_user_cordoned_are_left_alone() -> None:
    plan = planned(nodes=[node("a", cordoned=True)], memory=since(9999, "a"))
    assert (plan.end, plan.drain, plan.memory.unneeded) == ((), (), {})


@pytest.mark.parametrize(("count", "moved"), [(3, 1), (8, 2)])
def test_a_quarter_of_the_nodes_with_pods_is_drained_at_once(count: int, moved: int) -> None:
    nodes = [node(f"n{number}") for number in range(count)]
    pods = tuple(pod for one in nodes for pod in pods_on(one.name, 1, requests=type(SMALL)(cpu=300)))
    plan = planned(nodes=nodes, pods=pods, memory=since(9999, *(one.name for one in nodes)))
    assert len(plan.drain) == moved


def test_a_request_for_which_no_pod_waits_is_withdrawn() -> None:
    plan = planned(desired={"cpu/spot": 2})
    assert desired(plan) == {}
    assert reasons(plan, "cpu/spot") == ("no pod waits for the requested node any more",)
