"""What the scheduler is asked for."""

from __future__ import annotations

from gyrus.kubernetes.placement import NODE, ZONE, spread_over_nodes, spread_over_zones


def test_nodes_without_zones_are_not_left_out_of_the_spread() -> None:
    """A node that lacks the key of one constraint gets no score by any of them."""
    (constraint,) = spread_over_nodes({"a": "b"})
    assert (constraint["topologyKey"], constraint["whenUnsatisfiable"]) == (NODE, "ScheduleAnyway")


def test_zones_are_a_preference() -> None:
    (rule, terms), *others = spread_over_zones({"a": "b"})["podAntiAffinity"].items()
    assert (rule, others) == ("preferredDuringSchedulingIgnoredDuringExecution", [])
    assert [term["podAffinityTerm"]["topologyKey"] for term in terms] == [ZONE]
