"""A chart of load, replicas and queue over time, one above the other, as an SVG.

It is readable on light and on dark pages: it has no background, and its text follows the page's scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from gyrus.simulator.axes import Axis, axis, day, highest, number, times
from gyrus.simulator.run import FleetSample

WIDTH, LEFT, RIGHT = 960, 62, 22
TOP, PANEL, GAP, BOTTOM = 80, 150, 44, 44
PLOT = WIDTH - LEFT - RIGHT
HEIGHT = TOP + 3 * PANEL + 2 * GAP + BOTTOM

COLOURS = {
    "gyrus": "#12946f", "cortex": "#d9782d", "kpa": "#4c84e0", "hpa": "#b65fc0", "clairvoyant": "#8b929c",
    "real": "#d9782d",
}  # fmt: skip
OTHERS = ("#b0912a", "#c4526b", "#3a9db5", "#7d8f3c")
"""Colours of policies without one in ``COLOURS``."""

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #57606a }
.title { font-size: 15px; font-weight: 600; fill: #24292f }
.name { font-weight: 600; fill: #24292f }
.grid { stroke: #8b929c; stroke-opacity: .22 }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.faint { fill: none; stroke-width: 1; stroke-opacity: .45; stroke-dasharray: 3 2 }
.load { fill: #8b929c; fill-opacity: .5 }
@media (prefers-color-scheme: dark) { text { fill: #9aa4af } .title, .name { fill: #e6edf3 } }
"""


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


def svg(chart: Chart) -> str:
    """Return the chart as an SVG document."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        f"<style>{STYLE}</style>",
        *_heading(chart),
        *_panel(0, "load", "requests in progress if none waited", _load_axis(chart), chart, _load),
        *_panel(1, "replicas", "ready (line) and requested (dashes)", _replica_axis(chart), chart, _replicas),
        *_panel(2, "queue", "waiting requests", _queue_axis(chart), chart, _queue),
        f'<text x="{LEFT + PLOT}" y="{HEIGHT - 8}" text-anchor="end">{escape(day(chart.start))}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _heading(chart: Chart) -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="22">{escape(chart.title)}</text>'
    x = float(LEFT)
    for curve, colour in _coloured(chart):
        yield f'<rect x="{x:.0f}" y="34" width="14" height="4" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 20:.0f}" y="41">{escape(curve.name)}</text>'
        x += 40 + 7.2 * len(curve.name)


def _coloured(chart: Chart) -> Iterator[tuple[Curve, str]]:
    spare = iter(OTHERS * len(chart.curves))
    for curve in chart.curves:
        yield curve, COLOURS.get(curve.name) or next(spare)


def _load_axis(chart: Chart) -> Axis:
    return axis(highest(chart.load), PANEL)


def _replica_axis(chart: Chart) -> Axis:
    looks = [look for curve in chart.curves for look in curve.looks]
    return axis(highest([max(look.ready, look.requested) for look in looks]), PANEL)


def _queue_axis(chart: Chart) -> Axis:
    waiting = [look.waiting for curve in chart.curves for look in curve.looks]
    return axis(highest(waiting), PANEL, logarithmic=True)


_Content = Callable[[Chart, Axis], Iterator[str]]


def _panel(
    place: int, name: str, meaning: str, scale: Axis, chart: Chart, content: _Content
) -> Iterator[str]:
    """Yield one panel. Its coordinates begin at its lower left corner."""
    base = TOP + place * (PANEL + GAP) + PANEL
    yield f'<g transform="translate({LEFT} {base})">'
    yield f'<text x="0" y="{-PANEL - 8}"><tspan class="name">{name}</tspan>  {meaning}</text>'
    for mark in scale.marks:
        y = -scale.place(mark)
        yield f'<path class="grid" d="M0 {y:.1f}H{PLOT}"/>'
        yield f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{number(mark)}</text>'
    for after, text in times(chart.start, chart.length):
        x = _x(chart, after)
        yield f'<path class="grid" d="M{x:.1f} 0V{-PANEL}"/>'
        yield f'<text x="{x:.1f}" y="17" text-anchor="middle">{text}</text>'
    yield from content(chart, scale)
    yield "</g>"


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
    for curve, colour in reversed(list(_coloured(chart))):
        yield f'<path class="{kind}" stroke="{colour}" d="{_steps(chart, curve, scale, value)}"/>'


def _steps(chart: Chart, curve: Curve, scale: Axis, value: Callable[[FleetSample], float]) -> str:
    """Return a path with one value per pixel: the highest of its samples. A constant level is one stroke."""
    peaks: dict[int, float] = {}
    for look in curve.looks:
        pixel = int(_x(chart, min(look.at, chart.length)))
        peaks[pixel] = max(peaks.get(pixel, 0.0), value(look))
    parts: list[str] = []
    last: float | None = None
    for pixel, peak in peaks.items():
        if last is None:
            parts.append(f"M{pixel} {-scale.place(peak):.1f}")
        elif peak != last:
            parts.append(f"H{pixel}V{-scale.place(peak):.1f}")
        last = peak
    end = max(peaks, default=0)
    return "".join([*parts, f"H{end}"]) if parts else "M0 0"


def _x(chart: Chart, after: float) -> float:
    return after / chart.length * PLOT if chart.length else 0.0
