"""Panels of charts, one above the other, as an SVG.

It is readable on light and on dark pages: it has no background, and its text follows the page's scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from gyrus.simulator.axes import Axis, day, number, times

WIDTH, LEFT, RIGHT = 960, 62, 22
TOP, GAP, BOTTOM = 80, 44, 44
PLOT = WIDTH - LEFT - RIGHT

COLOURS = {
    "gyrus": "#12946f", "cortex": "#d9782d", "kpa": "#4c84e0", "hpa": "#b65fc0", "clairvoyant": "#8b929c",
    "real": "#d9782d", "cluster-autoscaler": "#d9782d", "karpenter": "#4c84e0", "on-demand": "#b65fc0",
    "none": "#8b929c",
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
.area { stroke: none }
@media (prefers-color-scheme: dark) { text { fill: #9aa4af } .title, .name { fill: #e6edf3 } }
"""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The time that all panels of a chart share."""

    start: float
    """Seconds since the epoch."""
    length: float
    """Seconds."""

    def place(self, after: float) -> float:
        """Return the distance in pixels of a time, in seconds from the start."""
        return after / self.length * PLOT if self.length else 0.0


@dataclass(frozen=True, slots=True)
class ChartPanel:
    """One panel. The coordinates of its content begin at its lower left corner, upwards negative."""

    name: str
    meaning: str
    scale: Axis
    content: Iterable[str]


def picture(title: str, legend: Iterable[tuple[str, str]], time: TimeAxis, panels: list[ChartPanel]) -> str:
    """Return a chart as an SVG document. ``legend``: names and their colours."""
    height = picture_height([panel.scale.length for panel in panels])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        *_heading(title, legend),
    ]
    top = float(TOP)
    for panel in panels:
        lines += _panel(top + panel.scale.length, panel, time)
        top += panel.scale.length + GAP
    lines += [
        f'<text x="{LEFT + PLOT}" y="{height - 8}" text-anchor="end">{escape(day(time.start))}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def picture_height(panels: list[float]) -> int:
    """Return the height of a chart in pixels, from those of its panels."""
    return int(TOP + sum(panels) + (len(panels) - 1) * GAP + BOTTOM)


def coloured(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return a colour for each name."""
    every = list(names)
    spare = iter(OTHERS * len(every))
    return [(name, COLOURS.get(name) or next(spare)) for name in every]


def steps(points: Iterable[tuple[float, float]], time: TimeAxis, scale: Axis) -> str:
    """Return a path with one value per pixel: the highest of its points. A constant level is one stroke."""
    peaks = _peaks(points, time)
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


def area(points: Iterable[tuple[float, float]], time: TimeAxis, scale: Axis) -> str:
    """Return a path around the area below the points."""
    line = steps(points, time, scale)
    start = line[1:].split(" ", 1)[0]
    return f"{line}V0H{start}Z"


def _peaks(points: Iterable[tuple[float, float]], time: TimeAxis) -> dict[int, float]:
    peaks: dict[int, float] = {}
    for at, value in points:
        pixel = int(time.place(min(at, time.length)))
        peaks[pixel] = max(peaks.get(pixel, 0.0), value)
    return peaks


def _heading(title: str, legend: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>'
    x = float(LEFT)
    for name, colour in legend:
        yield f'<rect x="{x:.0f}" y="34" width="14" height="4" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 20:.0f}" y="41">{escape(name)}</text>'
        x += 40 + 7.2 * len(name)


def _panel(base: float, panel: ChartPanel, time: TimeAxis) -> Iterator[str]:
    height = panel.scale.length
    yield f'<g transform="translate({LEFT} {base:g})">'
    name = f'<tspan class="name">{escape(panel.name)}</tspan>'
    yield f'<text x="0" y="{-height - 8:g}">{name}  {escape(panel.meaning)}</text>'
    for mark in panel.scale.marks:
        y = -panel.scale.place(mark)
        yield f'<path class="grid" d="M0 {y:.1f}H{PLOT}"/>'
        yield f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{number(mark)}</text>'
    for after, text in times(time.start, time.length):
        x = time.place(after)
        yield f'<path class="grid" d="M{x:.1f} 0V{-height:g}"/>'
        yield f'<text x="{x:.1f}" y="17" text-anchor="middle">{text}</text>'
    yield from panel.content
    yield "</g>"
