"""What a run comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.simulator.figures import Percentiles, misses, of_run, parse_price, report
from gyrus.simulator.run import SimulatedResult
from support.simulations import offered_load, simulated


def test_waits_latencies_and_misses_of_a_small_run() -> None:
    """One slot, a queue of two: the fourth is refused, the third waits 2 s for 1 s of work."""
    run = simulated(offered_load((0, 1), (0, 1), (0, 1), (0, 1)), 1, longest_queue=2)
    figures = of_run(run, price=3.6)
    assert (figures.requests, figures.answered, figures.refused, figures.timed_out) == (4, 3, 1, 0)
    assert figures.wait == Percentiles(1, 2, 2)
    assert figures.latency == Percentiles(2, 3, 3)
    assert figures.slo_misses == misses(run) == 2  # the refused one, and 3 s for 1 s of work; 2 s are in time
    assert figures.slo_miss_ratio == 0.5
    assert misses(run, 1.0) == 3
    assert misses(run, 3.0) == 1
    assert figures.replica_hours == pytest.approx(3 / 3600)
    assert figures.cost == pytest.approx(0.003)


def test_what_times_out_counts_with_its_timeout() -> None:
    run = simulated(offered_load((0, 5), (0, 1)), 1, timeout=2)
    assert list(run.outcomes) == [SimulatedResult.TIMED_OUT] * 2
    figures = of_run(run, slo=10)
    assert figures.latency == Percentiles(2, 2, 2)
    assert figures.wait == Percentiles(0, 2, 2)
    assert figures.slo_misses == 2


def test_where_all_were_refused_there_is_no_latency() -> None:
    figures = of_run(simulated(offered_load((0, 1)), 0, longest_queue=0, slots=1, hold=0))
    assert (figures.wait, figures.latency, figures.refused, figures.cost) == (None, None, 1, None)
    assert figures.data()["p95_latency"] is None


def test_the_json_has_what_scripts_rely_on() -> None:
    figures = of_run(simulated(offered_load((0, 1)), 1))
    reported = report("t.csv", [figures], None)
    assert (reported["trace"], reported["requests"], reported["slo"]) == ("t.csv", 1, None)
    [policy] = reported["policies"]
    assert set(policy) >= {
        "policy", "replica_hours", "slo_misses", "slo_miss_ratio", "p50_wait", "p95_wait", "p99_wait",
        "p50_latency", "p95_latency", "p99_latency", "refused", "timed_out", "cost", "peak_replicas",
        "scalings",
    }  # fmt: skip


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_that_occurred(values: list[float]) -> None:
    found = Percentiles.of(values)
    assert found is not None
    assert set(found) <= set(values)
    for share, value in zip((0.5, 0.95, 0.99), found, strict=True):
        assert sum(other <= value for other in values) >= share * len(values)
        assert sum(other < value for other in values) < share * len(values)


@pytest.mark.parametrize(
    ("text", "hourly"), [("0.526/h", 0.526), ("$1.2", 1.2), ("24/d", 1), ("0.01/m", 0.6), ("0.001/s", 3.6)]
)
def test_prices(text: str, hourly: float) -> None:
    assert parse_price(text) == pytest.approx(hourly)


@pytest.mark.parametrize("text", ["", "cheap", "-1/h", "1/y", "1,5/h"])
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(ValueError, match="is not a price"):
        parse_price(text)
