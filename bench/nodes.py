"""Cost of a cluster's nodes and waits of its pods: gyrus's planner beside other rules, in virtual time.

    scripts/bench nodes TRACE... [--hours 24] [--seeds 3]

Each trace of requests becomes a curve of required replicas by gyrus's autoscaler. The curve repeats for the
given hours, lower at night, on a seeded spot market.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import machine
from table import render

from gyrus.nodes.resources import GIB, NodeResources
from gyrus.nodes.state import NodeType, PlannedGroup
from gyrus.simulator.baselines import PolicyContext, make
from gyrus.simulator.engine import simulate
from gyrus.simulator.nodes.comparison import NodesRun, simulate_nodes
from gyrus.simulator.nodes.demand_curve import DemandCurve
from gyrus.simulator.nodes.policies.by_name import COMPARED_SCALERS, POLICIES
from gyrus.simulator.nodes.spot_market import MarketRules, SpotMarket
from gyrus.simulator.nodes.world import WorldRules
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.service import Column, Fixed
from gyrus.simulator.trace import read
from gyrus.spec.load import loads
from gyrus.spec.realtime import RealtimeSpec

YAML = """
- name: bench
  kind: RealtimeAPI
  handler: {path: handler.py}
  timeout: 600s
  autoscaling: {max_replicas: 1000}
"""
STARTUP = 30.0
"""Seconds from a pod's order on a ready node until requests reach it."""
POD = NodeResources(cpu=1000, memory=2 * GIB)
GROUP = PlannedGroup(
    name="cpu",
    instance_types=(
        NodeType(
            name="m6i.xlarge",
            allocatable=NodeResources(cpu=3770, memory=13 * GIB, pods=50),
            on_demand_price=0.192,
        ),
    ),
    max_nodes=100,
    spot=True,
)
"""Prices of us-east-1 on demand; allocatable without the system's share and daemon sets."""


@dataclass(frozen=True, slots=True)
class Mean:
    """Averages over the seeds."""

    policy: str
    runs: list[NodesRun]

    def of(self, name: str) -> float:
        return sum(float(getattr(run, name)) for run in self.runs) / len(self.runs)

    def total(self, name: str) -> float:
        return sum(float(getattr(run.totals, name)) for run in self.runs) / len(self.runs)

    def row(self, trace: str) -> tuple[str, ...]:
        return (
            trace,
            self.policy,
            f"{self.of('dollars_per_hour'):.3f}",
            f"{self.of('short_minutes'):,.0f}",
            f"{self.of('short_share'):.2%}",
            f"{self.of('spot_share'):.0%}",
            f"{self.total('launches'):.0f}",
            f"{self.total('interruptions'):.0f}",
            f"{self.total('lost_pods'):.0f}",
            f"{self.total('moved_pods'):.0f}",
        )


HEADER = (
    "trace", "policy", "$ per hour", "pod-minutes short", "share", "spot", "launches", "interrupted",
    "lost pods", "moved pods",
)  # fmt: skip


def demand_of(path: Path, night: float) -> DemandCurve:
    [spec] = loads(YAML, "bench")
    assert isinstance(spec, RealtimeSpec)
    work = OfferedLoad.of(read(path), Column(), 1)
    context = PolicyContext(spec=spec, offered_load=work, startup=STARTUP)
    busy = sum(work.services) / work.arrivals[-1]
    rules = replace(ServingRules.of(spec, Fixed(STARTUP)), initial=math.ceil(busy / 0.8))
    return DemandCurve.of(simulate(work, rules, make("gyrus", context))).with_night(night)


def rules_of(seed: int, hours: float) -> WorldRules:
    market = SpotMarket(GROUP.name, hours * 3600 + 3600, MarketRules(), seed)
    return WorldRules(
        groups=(GROUP,), requests=POD, pod_startup=Fixed(STARTUP), markets={GROUP.name: market}, seed=seed
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("traces", nargs="+", type=Path, metavar="TRACE")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--night", type=float, default=0.25, help="share of the replicas at the lowest hour")
    parser.add_argument("--policy", action="append", choices=POLICIES, help="default: all")
    given = parser.parse_args()
    print(machine.description())
    rows: list[tuple[str, ...]] = []
    for path in given.traces:
        demand = demand_of(path, given.night)
        for policy in given.policy or COMPARED_SCALERS:
            seeds = range(1, given.seeds + 1)
            runs = [
                simulate_nodes(policy, demand, rules_of(seed, given.hours), given.hours) for seed in seeds
            ]
            rows.append(Mean(policy, runs).row(path.stem))
    print(render(HEADER, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
