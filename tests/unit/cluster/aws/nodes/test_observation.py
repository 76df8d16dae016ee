"""The planner's input, from what AWS and Kubernetes show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.nodes.cluster_nodes import KubernetesNode
from gyrus.cluster.aws.nodes.node_pods import ClusterPod
from gyrus.cluster.aws.nodes.observation import GroupRules, ObservedCluster, nodes_state, observed_record
from gyrus.cluster.aws.nodes.record import NodesRecord, after_plan, decoded, encoded
from gyrus.cluster.aws.nodes.scaling_groups import Ec2Instance, GroupInstance, ObservedGroup
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import (
    CapacityType,
    LeavingNode,
    NodeNotice,
    NodesMemory,
    NodeState,
    NoticeKind,
    RequiredReplicas,
)
from support.nodes import NOW, ON_DEMAND, SPOT, group

WHOLE = NodeResources(cpu=3800, memory=14 * GIB, pods=50)
POD = NodeResources(cpu=1000, memory=2 * GIB)


def instance(id: str, *, version: str = "1", leaves: bool = False) -> GroupInstance:
    return GroupInstance(id=id, instance_type="m6i.xlarge", zone="eu-west-1a", leaves=leaves, version=version)


def scaling(capacity: CapacityType, desired: int, *instances: GroupInstance, **changes: Any) -> ObservedGroup:
    usual: dict[str, Any] = {"group": "cpu", "largest": 10, "version": "1"}
    name = f"gyrus-vision--cpu.{capacity}"
    return ObservedGroup(
        name=name, capacity=capacity, desired=desired, instances=instances, **usual | changes
    )


def node(instance: str, **changes: Any) -> KubernetesNode:
    usual: dict[str, Any] = {
        "name": f"ip-{instance}", "allocatable": WHOLE, "ready": True, "lost_since": None,
        "ready_since": NOW - 900, "cordoned": False, "cordoned_by_gyrus": False,
    }  # fmt: skip
    return KubernetesNode(instance=instance, **usual | changes)


def pod(name: str, on: str = "", **changes: Any) -> ClusterPod:
    usual: dict[str, Any] = {
        "node": f"ip-{on}" if on else "", "requests": POD, "api": "iris", "since": NOW - 100, "groups": (),
        "of_node": False, "may_move": True, "deleted": False, "tolerations": (),
    }  # fmt: skip
    return ClusterPod(name=name, **usual | changes)


def launched(*ids: str, at: float = NOW - 1000, ends: bool = False) -> dict[str, Ec2Instance]:
    return {id: Ec2Instance(id=id, launched_at=at, ends=ends) for id in ids}


def seen(*groups: ObservedGroup, nodes: Iterable[KubernetesNode] = (), **changes: Any) -> ObservedCluster:
    usual: dict[str, Any] = {"now": NOW}
    return ObservedCluster(scaling=groups, nodes={one.instance: one for one in nodes}, **usual | changes)


RULES = GroupRules(groups=(group(),))
EMPTY = (scaling(ON_DEMAND, 0), scaling(SPOT, 0))


def test_an_instance_is_a_node_from_its_launch_to_its_end() -> None:
    ids = ("i-new", "i-ready", "i-lost", "i-leaves", "i-ends")
    group = scaling(SPOT, 5, *(instance(id, leaves=id == "i-leaves") for id in ids))
    look = seen(
        scaling(ON_DEMAND, 0),
        group,
        instances=launched("i-ready", "i-lost") | launched("i-ends", ends=True),
        nodes=[node("i-ready"), node("i-lost", ready=False, lost_since=NOW - 60)],
    )
    state = nodes_state(RULES, look, NodesRecord())
    found = {one.name: (one.state, one.launched_at, one.lost_since) for one in state.nodes}
    assert found == {
        "i-new": (NodeState.STARTING, NOW, None),
        "i-ready": (NodeState.READY, NOW - 1000, None),
        "i-lost": (NodeState.READY, NOW - 1000, NOW - 60),
    }


def test_a_node_offers_what_the_pods_of_every_node_leave() -> None:
    daemon = pod("kube-proxy", "i-1", of_node=True, requests=NodeResources(cpu=300, memory=GIB), api="")
    look = seen(scaling(ON_DEMAND, 0), scaling(SPOT, 1, instance("i-1")), nodes=[node("i-1")], pods=(daemon,))
    state = nodes_state(RULES, look, NodesRecord())
    assert state.nodes[0].allocatable == NodeResources(cpu=3500, memory=13 * GIB, pods=49)
    assert state.pods == ()


def test_pods_are_on_instances_and_pods_of_other_nodes_stay_known() -> None:
    look = seen(
        scaling(ON_DEMAND, 0),
        scaling(SPOT, 1, instance("i-1")),
        nodes=[node("i-1")],
        pods=(pod("a", "i-1"), pod("b", "other"), pod("c"), pod("d", deleted=True)),
    )
    state = nodes_state(RULES, look, NodesRecord())
    assert [(one.name, one.node) for one in state.pods] == [("a", "i-1"), ("b", "ip-other")]
    assert [one.name for one in state.pending] == ["c"]


def test_a_taint_keeps_pods_away_that_do_not_tolerate_it() -> None:
    rules = GroupRules(groups=(group(), group("gpu")), taints={"gpu": ("nvidia.com/gpu=true:NoSchedule",)})
    both = (*EMPTY, scaling(ON_DEMAND, 0, group="gpu"), scaling(SPOT, 0, group="gpu"))
    tolerant = pod("b", tolerations=({"key": "nvidia.com/gpu", "operator": "Exists"},))
    look = seen(*both, pods=(pod("a"), tolerant, pod("c", groups=("gpu",)), pod("d", groups=("gpu", "cpu"))))
    groups = [one.groups for one in nodes_state(rules, look, NodesRecord()).pending]
    assert groups == [("cpu",), (), ("",), ("cpu",)]


def test_a_group_without_a_stack_gets_no_nodes_and_one_without_a_spot_part_no_spot() -> None:
    assert nodes_state(RULES, seen(scaling(SPOT, 0)), NodesRecord()).groups == ()
    (found,) = nodes_state(RULES, seen(scaling(ON_DEMAND, 0, largest=3)), NodesRecord()).groups
    assert (found.spot, found.max_nodes) == (False, 3)


def test_required_replicas_have_the_requests_of_the_latest_pod() -> None:
    required = RequiredReplicas(api="iris", replicas=3, requests=POD)
    exact = NodeResources(cpu=1050, memory=3 * GIB)
    pods = (pod("a", since=NOW - 9), pod("b", since=NOW - 5, requests=exact))
    state = nodes_state(RULES, seen(*EMPTY, pods=pods, required=(required,)), NodesRecord())
    assert state.required == (replace(required, requests=exact),)


def test_a_pool_waits_from_the_first_look_that_shows_a_missing_instance() -> None:
    first = observed_record(NodesRecord(), seen(scaling(SPOT, 2)))
    again = observed_record(first, seen(scaling(SPOT, 2), now=NOW + 50))
    assert again.waiting["cpu/spot"].since == NOW
    came = observed_record(again, seen(scaling(SPOT, 2, instance("i-1")), now=NOW + 60))
    assert came.waiting["cpu/spot"].since == NOW + 60
    complete = seen(scaling(SPOT, 2, instance("i-1"), instance("i-2")), now=NOW + 70)
    assert observed_record(came, complete).waiting == {}


def test_notices_stay_until_the_instance_is_gone() -> None:
    notices = tuple(NodeNotice(node=id, kind=NoticeKind.INTERRUPTION, at=NOW) for id in ("i-1", "i-other"))
    record = NodesRecord(notices=notices)
    kept = observed_record(record, seen(scaling(SPOT, 1, instance("i-1"))))
    assert kept.notices == notices[:1]
    assert observed_record(kept, seen(scaling(SPOT, 1, instance("i-1", leaves=True)))).notices == ()


def test_the_startup_is_that_of_the_newest_node() -> None:
    look = seen(
        scaling(SPOT, 2, instance("i-1"), instance("i-2")),
        instances=launched("i-1", at=NOW - 1000) | launched("i-2", at=NOW - 200),
        nodes=[node("i-1", ready_since=NOW - 850), node("i-2", ready_since=NOW - 110)],
    )
    record = observed_record(NodesRecord(), look)
    assert record.startups == {"cpu": 90.0}
    again = seen(*EMPTY)
    assert nodes_state(RULES, again, observed_record(record, again)).groups[0].startup == 90.0


def test_outdated_nodes_are_replaced_one_after_the_other() -> None:
    ids = ("i-1", "i-2", "i-3")
    group = scaling(ON_DEMAND, 3, *(instance(id) for id in ids), version="2")
    look = seen(
        group,
        scaling(SPOT, 0),
        instances=launched("i-1", at=NOW - 50) | launched("i-2", at=NOW - 90) | launched("i-3", at=NOW - 80),
        nodes=[node(id) for id in ids],
    )
    (notice,) = nodes_state(RULES, look, NodesRecord()).notices
    assert (notice.node, notice.kind) == ("i-2", NoticeKind.OUTDATED)
    fixed = replace(look, pods=(pod("task", "i-2", may_move=False),))
    assert nodes_state(RULES, fixed, NodesRecord()).notices[0].node == "i-3"
    leaving = NodesMemory(leaving={"i-2": LeavingNode(reason="r", since=NOW)})
    assert nodes_state(RULES, look, NodesRecord(plan=leaving)).notices == ()


def test_a_node_that_ends_leaves_until_its_instance_is_gone() -> None:
    memory = NodesMemory(leaving={"i-1": LeavingNode(reason="it has no pods", since=NOW - 9, draining=True)})
    look = seen(scaling(ON_DEMAND, 1, instance("i-1")), scaling(SPOT, 0), nodes=[node("i-1")])
    record = NodesRecord(plan=memory)
    state = nodes_state(RULES, look, record)
    plan = plan_nodes(state)
    assert [step.node for step in plan.end] == ["i-1"]
    kept = after_plan(record, plan, state)
    assert kept.plan.leaving == memory.leaving
    again = plan_nodes(nodes_state(RULES, look, kept))
    assert [step.node for step in again.end] == ["i-1"]
    gone = seen(*EMPTY)
    assert plan_nodes(nodes_state(RULES, gone, kept)).memory.leaving == {}


@given(st.lists(st.sampled_from(["i-1", "i-2", "i-3"]), max_size=6), st.floats(0, 2e9), st.booleans())
def test_a_record_is_read_as_it_was_written(names: list[str], at: float, spot: bool) -> None:
    record = NodesRecord(
        plan=NodesMemory(
            leaving={name: LeavingNode(reason=name, since=at, draining=spot) for name in names},
            unneeded=dict.fromkeys(names, at),
        ),
        notices=tuple(NodeNotice(node=name, kind=NoticeKind.REBALANCE, at=at) for name in names),
    )
    record = observed_record(record, seen(scaling(SPOT, 3, *(instance(name) for name in set(names)))))
    assert decoded(encoded(record)) == record


@st.composite
def clusters(draw: st.DrawFn) -> ObservedCluster:
    """A cluster whose instances, nodes and pods are in any state, as looks in between may show them."""
    groups: list[ObservedGroup] = []
    nodes: list[KubernetesNode] = []
    instances: dict[str, Ec2Instance] = {}
    for capacity in CapacityType:
        ids = [f"i-{capacity}-{number}" for number in range(draw(st.integers(0, 4)))]
        own = [
            instance(id, leaves=draw(st.booleans()), version=draw(st.sampled_from(["1", "2"]))) for id in ids
        ]
        groups.append(scaling(capacity, draw(st.integers(0, 6)), *own))
        for id in ids:
            if draw(st.booleans()):
                at = NOW - draw(st.integers(0, 2000))
                instances |= launched(id, at=at, ends=draw(st.booleans()))
            if draw(st.booleans()):
                ready = draw(st.booleans())
                lost = None if ready else draw(st.sampled_from([None, NOW - 400, NOW - 10]))
                nodes.append(node(id, ready=ready, lost_since=lost, cordoned=draw(st.booleans())))
    places = ["", "other", *(one.instance for one in nodes)]
    pods = tuple(
        pod(
            f"gyrus/{number}",
            draw(st.sampled_from(places)),
            of_node=draw(st.booleans()),
            may_move=draw(st.booleans()),
            deleted=draw(st.booleans()),
            groups=draw(st.sampled_from([(), ("cpu",), ("gone",)])),
        )
        for number in range(draw(st.integers(0, 8)))
    )
    required = RequiredReplicas(api="iris", replicas=draw(st.integers(0, 6)), requests=POD)
    return seen(*groups, nodes=nodes, instances=instances, pods=pods, required=(required,))


@given(clusters())
def test_any_look_leads_to_a_plan_within_the_bounds(look: ObservedCluster) -> None:
    record = observed_record(NodesRecord(), look)
    state = nodes_state(RULES, look, record)
    names = [one.name for one in state.nodes]
    present = [one.id for group in look.scaling for one in look.present(group)]
    assert sorted(names) == sorted(present)
    counted = [*(pod.name for pod in state.pods), *(pod.name for pod in state.pending)]
    assert len(counted) == len(set(counted))
    plan = plan_nodes(state)
    desired = {target.pool: target.desired for target in plan.pools}
    observed = {group.pool: group.desired for group in look.scaling}
    for pool, number in desired.items():
        assert 0 <= number <= max(10, observed[pool], len(present))
    kept = after_plan(record, plan, state)
    assert {step.node for step in plan.end} <= kept.plan.leaving.keys() <= set(present)
    assert decoded(encoded(kept)) == kept
