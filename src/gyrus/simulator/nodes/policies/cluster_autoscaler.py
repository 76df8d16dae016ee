"""cluster-autoscaler's rules with the priority expander, and the node termination handler beside it.

From its FAQ and its flags' defaults: pending pods alone make nodes come; a group that does not deliver is
backed off for 5 to 30 minutes; a node is removed when the requests on it are below 50 % and its pods have
fitted elsewhere for 10 minutes, not within 10 minutes after a node was added, and one node with pods at a
time. A group counts as failed after 8 minutes, the fall-back that Cortex's users measured
(``max-node-provision-time`` is 15 minutes). A node that runs on demand never returns to spot by itself.
"""

from __future__ import annotations

from dataclasses import replace

from gyrus.nodes.consolidation import end_unneeded
from gyrus.nodes.departures import cordon_interrupted, drain_leaving
from gyrus.nodes.draft import NodeDraft
from gyrus.nodes.growth import keep_minimum, place_needs
from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.planner import end_empty, finish_plan
from gyrus.nodes.pool_failures import judge_pools
from gyrus.nodes.state import NodeSettings, NodesState

SETTINGS = NodeSettings(
    provision_limit=480.0,
    first_bar=300.0,
    longest_bar=1800.0,
    unneeded_for=600.0,
    empty_for=600.0,
    empty_startups=0.0,
    margin=0.0,
    most_at_once=0.0,
)
DELAY_AFTER_ADD = 600.0
UTILIZATION_THRESHOLD = 0.5


def plan_as_cluster_autoscaler(state: NodesState) -> NodePlan:
    """Plan the next step by cluster-autoscaler's rules."""
    pools = tuple(replace(pool, failed_at=None) for pool in state.pools)
    state = replace(state, settings=SETTINGS, pools=pools, required=())
    records, bars = judge_pools(state)
    draft = NodeDraft(state, records)
    cordon_interrupted(draft)
    draft.place_nodes()
    keep_minimum(draft)
    place_needs(draft, draft.pending_needs())
    drain_leaving(draft, waits=False)
    if all(state.now - node.launched_at >= DELAY_AFTER_ADD for node in state.nodes):
        end_unneeded(draft, below=UTILIZATION_THRESHOLD)
    end_empty(draft)
    return finish_plan(draft, records, bars)
