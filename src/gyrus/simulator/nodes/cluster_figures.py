"""The figures of a run on nodes: what the nodes cost, and what their changes did to requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gyrus.simulator.figures import Figures, of_run
from gyrus.simulator.nodes.cluster_run import ClusterRun
from gyrus.simulator.nodes.node_fleet import NodesSample
from gyrus.simulator.nodes.world import NodeTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFigures:
    """One row of the report: a policy for nodes."""

    requests: Figures
    """The figures of the requests, with the name of the policy for nodes."""
    totals: NodeTotals
    peak_nodes: int
    nodes: Sequence[NodesSample]
    """The cluster over time: of equal samples in a row, the first one."""

    @property
    def scaler(self) -> str:
        return self.requests.policy

    @property
    def dollars(self) -> float:
        return self.totals.dollars

    @property
    def dollars_per_thousand(self) -> float:
        """Cost of 1,000 requests, whatever became of them."""
        return 1000 * self.dollars / self.requests.requests if self.requests.requests else 0.0

    @property
    def late(self) -> int:
        """Answers that came later than the objective."""
        mine = self.requests
        return mine.slo_misses - mine.refused - mine.timed_out - mine.failed

    @property
    def node_hours(self) -> float:
        return self.totals.node_seconds / 3600

    @property
    def spot_share(self) -> float:
        return self.totals.spot_seconds / self.totals.node_seconds if self.totals.node_seconds else 0.0

    def data(self) -> dict[str, Any]:
        """Return the row as JSON."""
        requests = self.requests.data()
        scaler = requests.pop("policy")
        lost = requests.pop("failed")
        totals = self.totals
        return {
            "scaler": scaler,
            **requests,
            "cost": self.dollars,
            "cost_per_1000": self.dollars_per_thousand,
            "late": self.late,
            "lost": lost,
            "node_hours": self.node_hours,
            "spot_share": self.spot_share,
            "peak_nodes": self.peak_nodes,
            "launches": totals.launches,
            "interruptions": totals.warnings,
            "replicas_moved": totals.moved_pods,
            "replicas_lost": totals.lost_pods,
            "replica_seconds_short": totals.short,
            "nodes": [_sample(one) for one in self.nodes],
        }


def cluster_figures(ran: ClusterRun, slo: float | None) -> ClusterFigures:
    """Compute the figures of a run. ``slo`` is the one of :func:`~gyrus.simulator.figures.of_run`."""
    return ClusterFigures(
        requests=of_run(ran.run, slo),
        totals=ran.totals,
        peak_nodes=max((one.spot + one.on_demand for one in ran.samples), default=0),
        nodes=list(_changes(ran.samples)),
    )


def cluster_report(
    trace: str, replicas: str, figures: Sequence[ClusterFigures], slo: float | None
) -> dict[str, Any]:
    """Return the report as JSON. ``replicas`` names the policy that scaled the replicas."""
    return {
        "trace": trace,
        "requests": figures[0].requests.requests if figures else 0,
        "slo": slo,
        "policy": replicas,
        "scalers": [each.data() for each in figures],
    }


def _changes(samples: Sequence[NodesSample]) -> Iterator[NodesSample]:
    """Yield the samples that differ from the one before in more than time and cost, and the last one."""
    before: tuple[float, ...] = ()
    for number, one in enumerate(samples):
        numbers = one[1:-1]
        if numbers != before or number == len(samples) - 1:
            yield one
        before = numbers


def _sample(one: NodesSample) -> dict[str, float]:
    return {"cost" if name == "dollars" else name: value for name, value in one._asdict().items()}
