"""The chart of nodes and their cost."""

from __future__ import annotations

from xml.etree import ElementTree

from gyrus.simulator.nodes.cluster_chart import ON_DEMAND, PANEL, SPOT, ClusterChart, NodesCurve, cluster_svg
from gyrus.simulator.nodes.node_fleet import NodesSample
from gyrus.simulator.panels import PLOT

SVG = "{http://www.w3.org/2000/svg}"


def curve(name: str) -> NodesCurve:
    samples = [
        NodesSample(0.0, spot=1, on_demand=1, starting=0, required=4, serving=4, dollars=0.0),
        NodesSample(100.0, spot=2, on_demand=0, starting=0, required=4, serving=4, dollars=1.0),
    ]
    return NodesCurve(name=name, samples=samples)


def picture(*names: str) -> ElementTree.Element:
    curves = [curve(name) for name in names]
    chart = ClusterChart(title="a < b", start=0.0, length=100.0, replicas_per_node=3, curves=curves)
    return ElementTree.fromstring(cluster_svg(chart))


def test_nodes_are_drawn_by_capacity_type_up_to_their_number() -> None:
    areas = {
        each.get("fill"): each.get("d") for each in picture("gyrus").iter(f"{SVG}path") if each.get("fill")
    }
    one, two = (f"{-value / (2 * 1.08) * PANEL:.1f}" for value in (1, 2))
    assert areas[ON_DEMAND] == f"M0 {two}H{PLOT}V0H0Z"
    assert areas[SPOT] == f"M0 {one}H{PLOT}V{two}H{PLOT}V0H0Z"


def test_there_is_a_panel_for_each_policy_and_one_for_the_cost() -> None:
    root = picture("gyrus", "karpenter")
    names = [each.text for each in root.iter(f"{SVG}tspan")]
    assert names == ["gyrus", "karpenter", "cost"]
    shown = {each.text for each in root.iter(f"{SVG}text")}
    assert {"a < b", "spot nodes", "on-demand nodes", "required capacity", "gyrus", "karpenter"} <= shown
    assert "gyrus" not in {each.text for each in picture("gyrus").iter(f"{SVG}text")}, (
        "one line needs no name"
    )
