"""Plans and their memory survive a store."""

from __future__ import annotations

import msgspec

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.state import LeavingNode, NodesMemory, NodesState, PoolRecord
from support.nodes import NOW, node, pending, planned, pods_on, state

MEMORY = NodesMemory(
    pools={"cpu/spot": PoolRecord(failures=2, failed_at=NOW, barred_until=NOW + 600)},
    unneeded={"a": NOW},
    leaving={"b": LeavingNode(reason="why", since=NOW)},
    replaced={"c": "cpu/spot"},
)


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = planned(
        nodes=[node("a"), node("b")], pods=tuple(pods_on("a", 2)), pending=pending(9), memory=MEMORY
    )
    assert msgspec.json.decode(msgspec.json.encode(plan), type=NodePlan) == plan


def test_a_state_is_read_as_it_was_written() -> None:
    before = state(nodes=[node("a")], pods=tuple(pods_on("a", 2)), memory=MEMORY)
    assert msgspec.json.decode(msgspec.json.encode(before), type=NodesState) == before
