"""The answers that the ledger gives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.operator import AmountView
from gyrus.cost.ledger import CostLedger, metered
from gyrus.cost.observation import ApiUse, CostObservation
from gyrus.cost.report import cost_view
from support.costs import machine, observation, observations

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
REMEDY = "Set a price."


def at(seconds: float, *, requests: int = 0, busy: float = 0.25) -> CostObservation:
    return observation(
        machine(0.2, AmountView(cpu=2, mem=0, gpu=0), iris=AmountView(cpu=1, mem=0, gpu=0)),
        at=NOON + seconds,
        apis={"iris": ApiUse(requests=requests, busy=busy)},
        shared={"EKS": 0.1},
    )


def ledger_of(*observed: CostObservation) -> CostLedger:
    ledger = CostLedger()
    for each in observed:
        ledger = metered(ledger, each)
    return ledger


def test_an_hour_is_reported_in_all_figures() -> None:
    observed = [at(600 * number, requests=100 * number) for number in range(7)]
    view = cost_view(ledger_of(*observed), observed[-1], NOON + 3600)
    [iris] = view.apis
    assert view.known
    assert (view.time, view.since) == ("2026-11-28T13:00:00.000Z", "2026-11-28T12:00:00.000Z")
    assert (iris.name, iris.requests) == ("iris", 600)
    assert iris.idle_share == pytest.approx(0.75)
    assert (iris.cost.today, iris.cost.month) == (pytest.approx(0.1), pytest.approx(0.1))
    assert iris.cost.per_hour == 0.1
    assert iris.per_1000_requests == pytest.approx(0.1 / 0.6)
    assert (view.idle.month, view.shared["EKS"].month) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (view.bill.month, view.bill.per_hour) == (pytest.approx(0.3), pytest.approx(0.3))
    # 59 hours are left of the month
    assert iris.cost.forecast == pytest.approx(0.1 * 60)
    assert view.bill.forecast == pytest.approx(0.3 * 60)
    assert view.history == 3600


def test_the_day_begins_at_midnight_in_utc() -> None:
    before, midnight = at(12 * 3600 - 600), at(12 * 3600 + 300)
    view = cost_view(ledger_of(before, midnight), midnight, NOON + 12 * 3600 + 300)
    assert view.bill.month == pytest.approx(0.3 / 4)
    assert view.bill.today == pytest.approx(0.3 / 12)


def test_without_a_price_the_remedy_is_reported() -> None:
    observed = observation(machine(None, AmountView(cpu=2, mem=0, gpu=0), "big"), at=NOON)
    view = cost_view(CostLedger(), observed, NOON, REMEDY)
    assert (view.known, view.remedy, view.unpriced, view.rates) == (False, REMEDY, ("big",), None)


def test_a_deleted_api_stays_in_the_month_and_is_not_expected_to_cost_more() -> None:
    gone = observation(machine(0.2, AmountView(cpu=2, mem=0, gpu=0)), at=NOON + 700)
    view = cost_view(ledger_of(at(0), at(600), gone), gone, NOON + 700)
    [iris] = view.apis
    assert iris.cost.month == pytest.approx(0.1 / 6)
    assert iris.cost.forecast == iris.cost.month
    assert iris.cost.per_hour == 0


def test_a_shared_part_that_is_gone_is_not_expected_to_cost_more() -> None:
    later = observation(machine(0.2, AmountView(cpu=2, mem=0, gpu=0)), at=NOON + 700)
    view = cost_view(ledger_of(at(0), at(600), later), later, NOON + 700)
    assert view.shared["EKS"].forecast == view.shared["EKS"].month == pytest.approx(0.1 / 6)


def test_time_without_an_operator_is_reported() -> None:
    view = cost_view(ledger_of(at(0), at(7200)), at(7200), NOON + 7200)
    assert view.unmetered == 7200
    assert view.since is None


@given(st.lists(observations(st.floats(NOON, NOON + 20_000, allow_nan=False)), min_size=1, max_size=5))
def test_the_views_of_the_parts_add_up_to_the_bill(observed: list[CostObservation]) -> None:
    view = cost_view(ledger_of(*observed), observed[-1], NOON + 20_000)
    for field in ("today", "month", "per_hour", "forecast"):
        parts = [*(api.cost for api in view.apis), view.idle, *view.shared.values()]
        assert sum(getattr(part, field) for part in parts) == pytest.approx(
            getattr(view.bill, field), abs=1e-6
        )
