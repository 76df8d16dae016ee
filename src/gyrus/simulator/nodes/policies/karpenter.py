"""Karpenter's rules, with its defaults of version 1.

From its documentation: pending pods alone make nodes come; EC2's fleet request answers at once, and a
pool without capacity is not asked for 3 minutes; a node is consolidated as soon as the others can take
its pods (``WhenEmptyOrUnderutilized``, ``consolidateAfter: 0s``), or a cheaper node could replace it,
which starts before the old one is drained; a tenth of the nodes may be disrupted at once; interruption
warnings drain the node at once, and rebalance recommendations are ignored.
"""

from __future__ import annotations

from dataclasses import replace

from gyrus.nodes.consolidation import end_unneeded, withdraw_requests
from gyrus.nodes.departures import choose_replaced, cordon_interrupted, drain_leaving, replace_chosen
from gyrus.nodes.draft import NodeDraft
from gyrus.nodes.growth import keep_minimum, place_needs
from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import end_empty, finish_plan
from gyrus.nodes.pool_failures import judge_pools
from gyrus.nodes.state import NodeSettings, NodesState, NoticeKind

SETTINGS = NodeSettings(
    provision_limit=10.0,
    first_bar=180.0,
    longest_bar=180.0,
    unneeded_for=15.0,
    empty_for=15.0,
    empty_startups=0.0,
    margin=0.0,
    return_after=15.0,
    least_saving=0.0,
    most_at_once=0.1,
)


def plan_as_karpenter(state: NodesState) -> NodePlan:
    """Plan the next step by Karpenter's rules."""
    notices = tuple(notice for notice in state.notices if notice.kind is NoticeKind.INTERRUPTION)
    state = replace(state, settings=SETTINGS, required=(), notices=notices)
    records, bars = judge_pools(state)
    draft = NodeDraft(state, records)
    cordon_interrupted(draft)
    choose_replaced(draft)
    draft.place_nodes()
    keep_minimum(draft)
    place_needs(draft, draft.pending_needs())
    replace_chosen(draft)
    drain_leaving(draft, waits=False)
    withdraw_requests(draft)
    end_unneeded(draft)
    end_empty(draft)
    return finish_plan(draft, records, bars)
