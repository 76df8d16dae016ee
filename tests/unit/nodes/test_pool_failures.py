"""Pools that fail are barred, longer each time, and forgiven when they deliver."""

from __future__ import annotations

import pytest

from gyrus.nodes.pool_failures import judge_pools
from gyrus.nodes.state import NodesMemory, PoolRecord
from support.nodes import NOW, desired, node, pending, planned, reasons, state


def test_a_failed_activity_bars_the_pool_and_buys_on_demand_in_the_same_plan() -> None:
    plan = planned(
        pending=pending(3),
        desired={"cpu/spot": 1},
        pools={"cpu/spot": {"failed_at": NOW - 5, "failure": "InsufficientInstanceCapacity"}},
    )
    assert desired(plan) == {"cpu/on-demand": 1}
    [bar] = plan.bar
    assert (bar.pool, bar.until) == ("cpu/spot", NOW + 180)
    assert bar.reason == "a scaling activity failed: InsufficientInstanceCapacity"
    assert reasons(plan, "cpu/spot") == (f"barred: {bar.reason}",)


@pytest.mark.parametrize(("waited", "barred"), [(89, False), (90, True)])
def test_no_instance_within_90_s_is_a_failure(waited: float, barred: bool) -> None:
    pools = {"cpu/spot": {"waiting_since": NOW - waited}}
    plan = planned(pending=pending(3), desired={"cpu/spot": 1}, pools=pools)
    assert desired(plan) == ({"cpu/on-demand": 1} if barred else {"cpu/spot": 1})
    assert [bar.reason for bar in plan.bar] == (["no instance within 90 s"] if barred else [])


def test_each_further_failure_doubles_the_bar_up_to_ten_minutes() -> None:
    spans: list[float] = []
    for failures in range(6):
        memory = NodesMemory(pools={"cpu/spot": PoolRecord(failures=failures, failed_at=NOW - 10)})
        _, [bar] = judge_pools(state(memory=memory, pools={"cpu/spot": {"failed_at": NOW}}))
        spans.append(bar.until - NOW)
    assert spans == [180, 360, 600, 600, 600, 600]


def test_a_failure_counts_once() -> None:
    pools = {"cpu/spot": {"failed_at": NOW - 5}}
    records, bars = judge_pools(state(pools=pools))
    assert len(bars) == 1
    again, bars = judge_pools(state(pools=pools, memory=NodesMemory(pools=records)))
    assert (again, bars) == (records, ())


def test_an_instance_ends_the_series_of_failures() -> None:
    memory = NodesMemory(
        pools={"cpu/spot": PoolRecord(failures=3, failed_at=NOW - 500, barred_until=NOW - 1)}
    )
    records, _ = judge_pools(state(nodes=[node("a", launched_at=NOW - 10)], memory=memory))
    assert records["cpu/spot"].failures == 0
