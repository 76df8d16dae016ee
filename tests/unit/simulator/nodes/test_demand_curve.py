"""Required replicas over time."""

from __future__ import annotations

from gyrus.simulator.nodes.demand_curve import DAY, DemandCurve
from support.simulations import Script, offered_load, simulated


def test_a_curve_is_what_the_autoscaler_requested() -> None:
    run = simulated(
        offered_load(*((float(at), 0.5) for at in range(30))), Script((10, 4), (20, 2), initial=1)
    )
    curve = DemandCurve.of(run)
    assert [curve.at(now) for now in (0, 9, 12, 22)] == [1, 1, 4, 2]
    assert curve.length == run.ended


def test_a_night_lowers_it() -> None:
    curve = DemandCurve((0.0,), (40,), 3600.0).with_night(0.25)
    assert [curve.at(now) for now in (0, DAY / 4, DAY / 2, DAY)] == [10, 25, 40, 10]
