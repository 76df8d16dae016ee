"""The report of a simulation with nodes, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gyrus.cli.figures import aligned, span
from gyrus.cli.output import table

if TYPE_CHECKING:
    from gyrus.simulator.nodes.cluster_figures import ClusterFigures

HEADERS = (
    "SCALER", "COST", "PER 1,000", "SLO MISSES", "LATE", "LOST", "REFUSED", "TIMED OUT", "LATENCY P95", "P99",
    "NODE-HOURS", "SPOT", "PEAK", "LAUNCHES", "INTERRUPTED",
)  # fmt: skip


def cluster_table(figures: Sequence[ClusterFigures]) -> str:
    """Build a table with a row per policy for nodes."""
    return table(HEADERS, aligned([list(HEADERS), *(_row(one) for one in figures)])[1:])


def cluster_distances(figures: Sequence[ClusterFigures], best: ClusterFigures) -> str:
    """Build a table of each policy's distance from ``best``."""
    rows = [["SCALER", f"COST × {best.scaler}", f"SLO MISSES − {best.scaler}"]]
    for one in figures:
        cost = one.dollars / best.dollars if best.dollars else 1.0
        rows.append([one.scaler, f"{cost:.2f}", f"{one.requests.slo_misses - best.requests.slo_misses:+,}"])
    return table(rows[0], aligned(rows)[1:])


def _row(one: ClusterFigures) -> list[str]:
    requests = one.requests
    share = f" ({requests.slo_miss_ratio:.2%})" if requests.slo_misses else ""
    latency = requests.latency
    return [
        one.scaler,
        f"${one.dollars:,.2f}",
        f"${one.dollars_per_thousand:,.3f}",
        f"{requests.slo_misses:,}{share}",
        f"{one.late:,}",
        f"{requests.failed:,}",
        f"{requests.refused:,}",
        f"{requests.timed_out:,}",
        *((span(latency.p95), span(latency.p99)) if latency else ("-", "-")),
        f"{one.node_hours:,.2f}",
        f"{one.spot_share:.0%}",
        f"{one.peak_nodes:,}",
        f"{one.totals.launches:,}",
        f"{one.totals.warnings:,}",
    ]
