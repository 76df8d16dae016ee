"""The plan of a cluster's nodes."""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.nodes.consolidation import end_unneeded, withdraw_requests
from gyrus.nodes.demand import needs_of
from gyrus.nodes.departures import (
    choose_replaced,
    cordon_interrupted,
    drain_leaving,
    drop_broken,
    replace_chosen,
)
from gyrus.nodes.draft import NodeDraft
from gyrus.nodes.growth import keep_minimum, place_needs, report_unplaced
from gyrus.nodes.node_plan import BarredPool, NodePlan, NodeStep
from gyrus.nodes.pool_failures import judge_pools
from gyrus.nodes.state import LeavingNode, NodeScaler, NodesMemory, NodesState, PoolRecord


def plan_nodes(state: NodesState) -> NodePlan:
    """Plan the desired capacity of each pool, and the nodes that are cordoned, drained and ended.

    Equal states give equal plans, and a plan that has been carried out leads to no further change at the same
    time. Plans nothing if another component scales the nodes.
    """
    if state.scaler is not NodeScaler.GYRUS or not state.groups:
        return NodePlan(memory=state.memory)
    records, bars = judge_pools(state)
    draft = NodeDraft(state, records)
    for bar in bars:
        draft.reasons[bar.pool].append(f"barred: {bar.reason}")
    cordon_interrupted(draft)
    drop_broken(draft)
    end_empty(draft)
    choose_replaced(draft)
    draft.place_nodes()
    keep_minimum(draft)
    impossible = place_needs(draft, needs_of(draft))
    report_unplaced(draft, impossible)
    waits = bool(impossible) or any(one.needs for one in draft.bins if not one.ready)
    replace_chosen(draft)
    drain_leaving(draft, waits=waits)
    withdraw_requests(draft)
    end_unneeded(draft)
    end_empty(draft)
    return finish_plan(draft, records, bars)


def end_empty(draft: NodeDraft) -> None:
    """End the nodes that leave and have no pods, and lost ones with the pods that are bound to them."""
    for name, record in list(draft.leaving.items()):
        if not draft.pods[name] or draft.nodes[name].lost_since is not None:
            draft.end(draft.nodes[name], record.reason)


def finish_plan(
    draft: NodeDraft, records: Mapping[str, PoolRecord], bars: tuple[BarredPool, ...]
) -> NodePlan:
    """Return the plan that a draft has become."""
    leaving = draft.leaving
    return NodePlan(
        pools=draft.targets(),
        cordon=_steps({name: record for name, record in leaving.items() if not draft.nodes[name].cordoned}),
        drain=_steps({name: record for name, record in leaving.items() if record.draining}),
        end=tuple(draft.ended),
        bar=bars,
        unplaced=tuple(draft.unplaced),
        memory=NodesMemory(
            pools=records,
            unneeded=draft.unneeded,
            leaving=leaving,
            replaced={name: pool for name, pool in draft.replaced.items() if name not in leaving},
        ),
    )


def _steps(leaving: Mapping[str, LeavingNode]) -> tuple[NodeStep, ...]:
    return tuple(NodeStep(node=name, reason=record.reason) for name, record in leaving.items())
