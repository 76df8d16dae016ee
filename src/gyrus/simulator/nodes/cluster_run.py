"""Requests, replicas and nodes together: an offered load on a virtual cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.autoscaling.policy import Policy
from gyrus.simulator.engine import OnProgress, simulate
from gyrus.simulator.event_queue import EventQueue
from gyrus.simulator.fleet import FleetObserver
from gyrus.simulator.nodes.node_fleet import ClusterRules, NodeFleet, NodesSample
from gyrus.simulator.nodes.policies.by_name import POLICIES
from gyrus.simulator.nodes.world import NodeTotals, WorldRules
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRun:
    """An offered load on a virtual cluster under one policy for nodes, whose name the run has."""

    run: Run
    totals: NodeTotals
    samples: Sequence[NodesSample]


def simulate_cluster(
    offered_load: OfferedLoad,
    rules: ServingRules,
    policy: Policy,
    world: WorldRules,
    scaler: str,
    on_progress: OnProgress = lambda share: None,
) -> ClusterRun:
    """Simulate the whole offered load on nodes. Equal arguments give equal results.

    ``policy`` scales replicas, ``scaler`` names the policy that plans nodes for them.
    """
    fleets: list[NodeFleet] = []

    def make_fleet(event_queue: EventQueue, observer: FleetObserver) -> NodeFleet:
        cluster = ClusterRules(world=world, policy=POLICIES[scaler])
        fleets.append(NodeFleet(cluster, rules, event_queue, observer))
        return fleets[0]

    run = simulate(offered_load, rules, policy, scaler, on_progress, make_fleet)
    [fleet] = fleets
    fleet.finish(run.ended)
    return ClusterRun(run=run, totals=fleet.world.totals, samples=fleet.samples)
