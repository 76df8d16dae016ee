"""The nodes as people see them."""

from __future__ import annotations

from gyrus.cluster.aws.nodes.nodes_view import KEPT, changes_of, nodes_view, with_changes
from gyrus.cluster.aws.nodes.observation import ObservedCluster
from gyrus.nodes.planner import plan_nodes
from gyrus.nodes.state import LeavingNode, NodeNotice, NodesMemory, NoticeKind, RequiredReplicas
from support.nodes import NOW, SMALL, SPOT, group, node, pending, pods_on, state

SEEN = ObservedCluster(now=NOW, scaling=())


def test_changes_have_their_reasons() -> None:
    failed = {"cpu/spot": {"failed_at": NOW, "failure": "no capacity"}}
    found = state(group(), pending=pending(4), pools=failed)
    assert list(changes_of(found, plan_nodes(found), SEEN)) == [
        "cpu/spot gets no new nodes until 03:49:40 UTC: a scaling activity failed: no capacity",
        "node group cpu/on-demand: 0 → 2, because 4 pods fit on no node; spot is barred",
    ]


def test_a_decision_is_shown_once() -> None:
    notice = NodeNotice(node="a", kind=NoticeKind.INTERRUPTION, at=NOW, ends_at=NOW + 120)
    required = (RequiredReplicas(api="iris", replicas=1, requests=SMALL),)
    first = state(nodes=[node("a")], pods=tuple(pods_on("a", 1)), notices=(notice,), required=required)
    plan = plan_nodes(first)
    shown = list(changes_of(first, plan, SEEN))
    assert "instance a leaves: EC2 interrupts this spot instance" in shown
    again = state(
        nodes=[node("a", cordoned=True)],
        pods=tuple(pods_on("a", 1)),
        notices=(notice,),
        required=required,
        memory=plan.memory,
        desired={"cpu/spot": 2},
    )
    assert list(changes_of(again, plan_nodes(again), SEEN)) == []


def test_a_node_has_its_pods_and_its_reason() -> None:
    memory = NodesMemory(leaving={"a": LeavingNode(reason="it has no pods", since=NOW, draining=True)})
    found = state(nodes=[node("a"), node("b")], pods=tuple(pods_on("a", 2)), memory=memory)
    one, other = nodes_view(found, plan_nodes(found), SEEN).nodes
    assert (one.instance, one.state, one.reason, one.replicas) == ("a", "draining", "it has no pods", 2)
    assert (one.requested.cpu, one.allocatable.cpu, one.capacity_type) == (2.0, 3.8, SPOT)
    assert (other.state, other.reason, other.pods) == ("ready", "", 0)


def test_only_the_latest_changes_are_kept() -> None:
    kept = with_changes((), (str(number) for number in range(KEPT + 5)), NOW)
    assert [one.message for one in kept][:1] == ["5"]
    assert len(with_changes(kept, ["new"], NOW)) == KEPT
