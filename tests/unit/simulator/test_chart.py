"""The picture is a document that shows each value at its place."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.simulator.axes import axis, times
from gyrus.simulator.chart import PANEL, PLOT, Chart, Curve, svg
from gyrus.simulator.run import FleetSample

SVG = "{http://www.w3.org/2000/svg}"


def chart(*curves: Curve, length: float = 100.0) -> Chart:
    return Chart(title="a < b", start=0.0, length=length, load=[1.0, 3.0], curves=curves)


def looks(*values: tuple[float, int, int, int]) -> list[FleetSample]:
    """Of the time, and the numbers of waiting requests, of ready and of wanted replicas."""
    return [FleetSample(at, 0.0, 0.0, waiting, ready, requested) for at, waiting, ready, requested in values]


def paths(text: str, kind: str) -> list[str]:
    return [
        path.get("d", "")
        for path in ElementTree.fromstring(text).iter(f"{SVG}path")
        if path.get("class") == kind
    ]


def test_levels_are_drawn_where_they_stood() -> None:
    curve = Curve(name="gyrus", looks=looks((25, 0, 1, 2), (50, 0, 2, 2), (75, 10, 2, 2), (100, 0, 2, 2)))
    text = svg(chart(curve))
    ready, queue = paths(text, "line")
    [wanted] = paths(text, "faint")
    top = 2 * 1.08
    one, two = (f"{-value / top * PANEL:.1f}" for value in (1, 2))
    quarter = PLOT // 4
    assert ready == f"M{quarter} {one}H{2 * quarter}V{two}H{PLOT}"
    assert wanted == f"M{quarter} {two}H{PLOT}"
    assert queue.startswith(f"M{quarter} -0.0H{3 * quarter}V-138.9H{PLOT}V")


def test_each_policy_has_its_colour_and_its_name() -> None:
    names = ["gyrus", "cortex", "fixed:3", "fixed:4"]
    text = svg(chart(*(Curve(name=name, looks=looks((1, 0, 1, 1))) for name in names)))
    root = ElementTree.fromstring(text)
    assert [each.get("fill") for each in root.iter(f"{SVG}rect")] == [
        "#12946f",
        "#d9782d",
        "#b0912a",
        "#c4526b",
    ]
    reported = {element.text for element in root.iter(f"{SVG}text")}
    assert {*names, "a < b"} <= reported


def test_a_queue_of_thousands_does_not_hide_one_that_waits() -> None:
    curve = Curve(name="kpa", looks=looks((10, 1, 1, 1), (90, 5000, 1, 1)))
    queue = paths(svg(chart(curve)), "line")[1]
    first, second = (float(value) for value in re.findall(r"-(\d+\.\d)", queue)[:2])
    assert 5 < first < second <= PANEL


@given(st.floats(0.001, 1e7), st.booleans())
def test_marks_are_few_and_within_the_axis(highest: float, logarithmic: bool) -> None:
    scale = axis(highest, 150, logarithmic=logarithmic)
    assert 2 <= len(scale.marks) <= 9
    assert all(0 <= scale.place(mark) <= 150 for mark in scale.marks)
    assert scale.place(highest) <= 150


@given(st.sampled_from([0.0, 1700158623.97]), st.floats(0.5, 30 * 86_400))
def test_marks_of_time_are_few_and_in_order(start: float, length: float) -> None:
    marks = times(start, length)
    assert 1 <= len(marks) <= 9
    assert all(0 <= after <= length + 1e-6 for after, _ in marks)
    assert [after for after, _ in marks] == sorted(after for after, _ in marks)


@pytest.mark.parametrize(
    ("start", "length", "words"),
    [
        (1700158623.0, 3600, ["18:20", "18:30", "18:40", "18:50", "19:00", "19:10"]),
        (
            0.0,
            7200,
            ["0:00", "15:00", "30:00", "45:00", "1:00:00", "1:15:00", "1:30:00", "1:45:00", "2:00:00"],
        ),
        (1700158623.0, 5 * 86_400, ["Nov 17", "Nov 18", "Nov 19", "Nov 20", "Nov 21"]),
    ],
)
def test_times_are_shown_as_people_write_them(start: float, length: float, words: list[str]) -> None:
    assert [text for _, text in times(start, length)] == words
