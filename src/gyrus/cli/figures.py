"""The report of a simulation or a replay, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gyrus.cli.output import table

if TYPE_CHECKING:
    from gyrus.simulator.figures import Figures, Percentiles

HEADERS = (
    "POLICY", "WAIT P50", "P95", "P99", "LATENCY P50", "P95", "P99", "SLO MISSES", "REFUSED", "TIMED OUT",
    "REPLICA-HOURS", "COST", "PEAK", "SCALINGS",
)  # fmt: skip
FAILED = HEADERS.index("TIMED OUT") + 1
COST = HEADERS.index("COST")


def figures_table(figures: Sequence[Figures]) -> str:
    """Build a table with a row per policy; with costs if there is a price, with failures if there are any."""
    rows = [list(HEADERS), *(_row(each) for each in figures)]
    if all(each.price is None for each in figures):
        rows = [row[:COST] + row[COST + 1 :] for row in rows]
    if any(each.failed for each in figures):
        failed = ["FAILED", *(f"{each.failed:,}" for each in figures)]
        rows = [[*row[:FAILED], cell, *row[FAILED:]] for row, cell in zip(rows, failed, strict=True)]
    return table(rows[0], aligned(rows)[1:])


def distances_table(figures: Sequence[Figures], best: Figures) -> str:
    """Build a table of each policy's distance from ``best``."""
    rows = [("POLICY", f"REPLICA-HOURS × {best.policy}", f"SLO MISSES − {best.policy}")]
    for each in figures:
        hours = each.replica_seconds / best.replica_seconds if best.replica_seconds else 1.0
        rows.append((each.policy, f"{hours:.2f}", f"{each.slo_misses - best.slo_misses:+,}"))
    return table(rows[0], aligned([list(row) for row in rows])[1:])


def _row(figures: Figures) -> list[str]:
    share = f" ({figures.slo_miss_ratio:.2%})" if figures.slo_misses else ""
    cost = figures.cost
    return [
        figures.policy,
        *_spans(figures.wait),
        *_spans(figures.latency),
        f"{figures.slo_misses:,}{share}",
        f"{figures.refused:,}",
        f"{figures.timed_out:,}",
        _hours(figures.replica_hours),
        "" if cost is None else f"{cost:,.2f}",
        f"{figures.peak_replicas:,}",
        f"{figures.scalings:,}",
    ]


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours >= 1 else f"{hours:.4f}"


def _spans(percentiles: Percentiles | None) -> list[str]:
    return [span(value) for value in percentiles] if percentiles else ["-"] * 3


def span(seconds: float) -> str:
    """Format seconds with at most three significant digits.

    >>> span(0), span(0.0123), span(0.5), span(12.34), span(600)
    ('0', '12.3 ms', '500 ms', '12.3 s', '600 s')
    """
    if seconds < 0.00005:
        return "0"
    value, unit = (seconds * 1000, "ms") if seconds < 0.9995 else (seconds, "s")
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text} {unit}"


def aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Align all columns but the first to the right: the first is text, the others are figures."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        [cell if column == 0 else cell.rjust(widths[column]) for column, cell in enumerate(row)]
        for row in rows
    ]
