"""A chart of a cluster's nodes by capacity type, of their cost, and of the replicas that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gyrus.simulator.axes import Axis, axis, highest
from gyrus.simulator.nodes.node_fleet import NodesSample
from gyrus.simulator.panels import ChartPanel, TimeAxis, coloured, picture, steps
from gyrus.simulator.panels import area as area_path

PANEL = 110
"""Height of one panel in pixels."""
SPOT, ON_DEMAND, REQUIRED = "#8fc1cc", "#e6c67a", "#c4526b"
CAPACITY = (("spot nodes", SPOT), ("on-demand nodes", ON_DEMAND), ("required capacity", REQUIRED))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesCurve:
    """The nodes under one policy."""

    name: str
    samples: Sequence[NodesSample]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChart:
    """The content of a chart."""

    title: str
    start: float
    """Start of the time axis, in seconds since the epoch."""
    length: float
    """Seconds."""
    replicas_per_node: int
    """Replicas that fill one node, for the required capacity."""
    curves: Sequence[NodesCurve]

    @property
    def time(self) -> TimeAxis:
        return TimeAxis(self.start, self.length)


def cluster_svg(chart: ClusterChart) -> str:
    """Return the chart as an SVG document: a panel of nodes for each policy, then the cost of all."""
    names = coloured(curve.name for curve in chart.curves)
    samples = [one for curve in chart.curves for one in curve.samples]
    nodes = axis(highest([max(one.spot + one.on_demand, _required(chart, one)) for one in samples]), PANEL)
    cost = _cost_axis(highest([one.dollars for one in samples]))
    panels = [ChartPanel(curve.name, "nodes", nodes, _nodes(chart, curve, nodes)) for curve in chart.curves]
    panels.append(ChartPanel("cost", "US dollars since the first request", cost, _cost(chart, names, cost)))
    legend = [*CAPACITY, *(names if len(names) > 1 else ())]
    return picture(chart.title, legend, chart.time, panels)


def _cost_axis(most: float) -> Axis:
    """Build an axis of dollars, which may be cents."""
    return Axis(max(most, 0.01) * 1.08, PANEL)


def _nodes(chart: ClusterChart, curve: NodesCurve, scale: Axis) -> Iterator[str]:
    yield _area(chart, curve, scale, ON_DEMAND, lambda one: one.spot + one.on_demand)
    yield _area(chart, curve, scale, SPOT, lambda one: one.spot)
    points = ((one.at, float(_required(chart, one))) for one in curve.samples)
    yield f'<path class="line" stroke="{REQUIRED}" d="{steps(points, chart.time, scale)}"/>'


def _area(
    chart: ClusterChart, curve: NodesCurve, scale: Axis, colour: str, value: Callable[[NodesSample], float]
) -> str:
    path = area_path(((one.at, value(one)) for one in curve.samples), chart.time, scale)
    return f'<path class="area" fill="{colour}" d="{path}"/>'


def _cost(chart: ClusterChart, names: Sequence[tuple[str, str]], scale: Axis) -> Iterator[str]:
    """Yield the policies' lines, the first one last: it lies over the others."""
    for curve, (_, colour) in reversed(list(zip(chart.curves, names, strict=True))):
        points = ((one.at, one.dollars) for one in curve.samples)
        yield f'<path class="line" stroke="{colour}" d="{steps(points, chart.time, scale)}"/>'


def _required(chart: ClusterChart, one: NodesSample) -> int:
    """Return how many nodes the required replicas fill."""
    return -(-one.required // chart.replicas_per_node)
