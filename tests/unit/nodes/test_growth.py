"""Which pools get new nodes, how many, and why."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import NodesMemory, PoolRecord, RequiredReplicas
from support.nodes import (
    GPU_POD,
    NOW,
    SMALL,
    desired,
    gpu_group,
    group,
    instance_type,
    node,
    pending,
    planned,
    pods_on,
    reasons,
)


def test_pods_share_new_spot_nodes() -> None:
    plan = planned(pending=pending(4))
    assert desired(plan) == {"cpu/spot": 2}
    assert reasons(plan, "cpu/spot") == ("4 pods fit on no node",)


def test_free_and_coming_capacity_is_used_first() -> None:
    nodes = [node("a")]
    plan = planned(nodes=nodes, pods=tuple(pods_on("a", 1)), pending=pending(5), desired={"cpu/spot": 2})
    assert desired(plan) == {"cpu/spot": 2}


def test_required_replicas_are_counted_before_their_pods_exist() -> None:
    required = (RequiredReplicas(api="iris", replicas=7, requests=SMALL),)
    plan = planned(pending=pending(1, api="iris"), required=required)
    assert desired(plan) == {"cpu/spot": 3}


def test_the_base_is_on_demand_and_the_rest_spot() -> None:
    plan = planned(group(on_demand_base=1, on_demand_percentage=25), pending=pending(15))
    assert desired(plan) == {"cpu/on-demand": 2, "cpu/spot": 3}


def test_spot_that_is_not_cheaper_is_not_bought() -> None:
    dear = group("cpu", instance_type(price=0.2, spot=0.2))
    assert desired(planned(dear, pending=pending(1))) == {"cpu/on-demand": 1}


def test_without_spot_all_is_on_demand() -> None:
    assert desired(planned(group(spot=False), pending=pending(3))) == {"cpu/on-demand": 1}


def test_priority_comes_before_price() -> None:
    dear = group("dear", instance_type(price=1.0, spot=0.5), priority=2)
    assert desired(planned(group(), dear, pending=pending(3))) == {"dear/spot": 1}


def test_among_equal_priorities_the_price_of_what_fits_decides() -> None:
    large = group("large", instance_type("m6i.4xlarge", 0.8, 0.25, cpu=15_800, memory=60 * GIB))
    assert desired(planned(group(), large, pending=pending(15))) == {"large/spot": 1}
    assert desired(planned(group(), large, pending=pending(3))) == {"cpu/spot": 1}


def test_a_pods_own_order_of_groups_comes_before_priority() -> None:
    pods = pending(1, groups=("b", "a"))
    assert desired(planned(group("a", priority=9), group("b"), pending=pods)) == {"b/spot": 1}


def test_gpu_nodes_are_for_gpu_pods() -> None:
    groups = (group(), gpu_group(priority=100))
    assert desired(planned(*groups, pending=pending(1))) == {"cpu/spot": 1}
    assert desired(planned(*groups, pending=pending(2, GPU_POD))) == {"gpu/spot": 2}


def test_a_gpu_node_takes_other_pods_if_there_is_no_other() -> None:
    assert desired(planned(gpu_group(), pending=pending(1))) == {"gpu/spot": 1}


def test_spot_that_is_barred_means_on_demand_at_once() -> None:
    memory = NodesMemory(pools={"cpu/spot": PoolRecord(failures=1, failed_at=NOW - 1, barred_until=NOW + 60)})
    plan = planned(pending=pending(3), memory=memory, desired={"cpu/spot": 1})
    assert desired(plan) == {"cpu/on-demand": 1}
    assert reasons(plan, "cpu/on-demand") == ("3 pods fit on no node; spot is barred",)


def test_spot_of_another_group_that_has_not_been_tried_is_not_trusted_either() -> None:
    memory = NodesMemory(pools={"a/spot": PoolRecord(failures=1, failed_at=NOW - 1, barred_until=NOW + 60)})
    assert desired(planned(group("a"), group("b"), pending=pending(1), memory=memory)) == {"a/on-demand": 1}


def test_the_minimum_is_kept_without_any_pod() -> None:
    plan = planned(group(min_nodes=2, on_demand_base=1))
    assert desired(plan) == {"cpu/on-demand": 1, "cpu/spot": 1}
    assert reasons(plan, "cpu/spot") == ("min_instances is 2",)


@pytest.mark.parametrize(
    ("requests", "changes", "reason"),
    [
        (
            NodeResources(cpu=64_000, memory=GIB),
            {},
            "no node group has nodes for 64 CPU, 1.0 GiB; add one, or request less",
        ),
        (SMALL, {"max_nodes": 0}, "cpu: max_instances is reached; raise it, or request less"),
    ],
)
def test_a_pod_that_no_node_can_take_is_reported(
    requests: NodeResources, changes: dict[str, Any], reason: str
) -> None:
    plan = planned(group(**changes), pending=pending(1, requests))
    assert desired(plan) == {}
    assert [(one.pod, one.reason) for one in plan.unplaced] == [("new-0", reason)]


def test_pools_without_capacity_are_reported() -> None:
    record = PoolRecord(failures=1, failed_at=NOW - 1, barred_until=NOW + 60)
    memory = NodesMemory(pools={"cpu/spot": record, "cpu/on-demand": record})
    [unplaced] = planned(pending=pending(1), memory=memory).unplaced
    assert unplaced.reason == (
        "cpu: EC2 has no capacity at present; the next try is at the end of the back-off"
    )
