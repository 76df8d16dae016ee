"""A chart of load, replicas and queue over time, one above the other, as an SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gyrus.simulator.axes import Axis, axis, highest
from gyrus.simulator.panels import PLOT as PLOT
from gyrus.simulator.panels import ChartPanel, TimeAxis, coloured, picture, steps
from gyrus.simulator.run import FleetSample

PANEL = 150
"""Height of one panel in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One policy, or a replay, over the time of a trace."""

    name: str
    looks: Sequence[FleetSample]
    """Samples in the order of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The content of a chart."""

    title: str
    start: float
    """Start of the time axis, in seconds since the epoch."""
    length: float
    """Seconds."""
    load: Sequence[float]
    """Requests in progress if none ever waited: averages over equal parts of the length."""
    curves: Sequence[Curve]

    @property
    def time(self) -> TimeAxis:
        return TimeAxis(self.start, self.length)

    @property
    def legend(self) -> list[tuple[str, str]]:
        """The curves' names and colours."""
        return coloured(curve.name for curve in self.curves)


def svg(chart: Chart) -> str:
    """Return the chart as an SVG document."""
    load, replicas, queue = _load_axis(chart), _replica_axis(chart), _queue_axis(chart)
    panels = [
        ChartPanel("load", "requests in progress if none waited", load, _load(chart, load)),
        ChartPanel("replicas", "ready (line) and requested (dashes)", replicas, _replicas(chart, replicas)),
        ChartPanel("queue", "waiting requests", queue, _queue(chart, queue)),
    ]
    return picture(chart.title, chart.legend, chart.time, panels)


def _load_axis(chart: Chart) -> Axis:
    return axis(highest(chart.load), PANEL)


def _replica_axis(chart: Chart) -> Axis:
    looks = [look for curve in chart.curves for look in curve.looks]
    return axis(highest([max(look.ready, look.requested) for look in looks]), PANEL)


def _queue_axis(chart: Chart) -> Axis:
    waiting = [look.waiting for curve in chart.curves for look in curve.looks]
    return axis(highest(waiting), PANEL, logarithmic=True)


def _load(chart: Chart, scale: Axis) -> Iterator[str]:
    step = PLOT / len(chart.load)
    points = "".join(f"V{-scale.place(value):.1f}h{step:.3f}" for value in chart.load)
    yield f'<path class="load" d="M0 0{points}V0Z"/>'


def _replicas(chart: Chart, scale: Axis) -> Iterator[str]:
    yield from _lines(chart, scale, "faint", lambda look: look.requested)
    yield from _lines(chart, scale, "line", lambda look: look.ready)


def _queue(chart: Chart, scale: Axis) -> Iterator[str]:
    yield from _lines(chart, scale, "line", lambda look: look.waiting)


def _lines(chart: Chart, scale: Axis, kind: str, value: Callable[[FleetSample], float]) -> Iterator[str]:
    """Yield the curves' lines, the first curve last: it lies over the others."""
    for curve, (_, colour) in reversed(list(zip(chart.curves, chart.legend, strict=True))):
        path = steps(((look.at, value(look)) for look in curve.looks), chart.time, scale)
        yield f'<path class="{kind}" stroke="{colour}" d="{path}"/>'
