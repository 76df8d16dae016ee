"""The costs of this month and of the last one."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.operator import AmountView
from gyrus.cost.bucket import DAY, HOUR
from gyrus.cost.ledger import CostLedger, day_start, metered, month_end, month_start
from gyrus.cost.money import nano
from gyrus.cost.observation import ApiUse, CostObservation
from support.costs import machine, observation, observations

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
TWO_CORES = AmountView(cpu=2, mem=0, gpu=0)
ONE_CORE = AmountView(cpu=1, mem=0, gpu=0)


def at(seconds: float, *, requests: int | None = 0, price: float = 3.6) -> CostObservation:
    """Return an observation this long after noon: one machine, half of which an API reserves."""
    return observation(
        machine(price, TWO_CORES, a=ONE_CORE),
        at=NOON + seconds,
        apis={"a": ApiUse(requests=requests, busy=1)},
        shared={"EKS": 0.36},
    )


def after(*observed: CostObservation, ledger: CostLedger | None = None) -> CostLedger:
    ledger = ledger or CostLedger()
    for each in observed:
        ledger = metered(ledger, each)
    return ledger


def test_the_first_observation_charges_nothing() -> None:
    ledger = after(at(0, requests=100))
    assert ledger.buckets == {}
    assert ledger.until == NOON * 1000


def test_the_time_between_two_observations_is_charged() -> None:
    month = after(at(0), at(10)).since(0)
    assert month.machines == nano(0.01)
    assert (month.apis["a"].part.cost, month.idle) == (nano(0.005), nano(0.005))
    assert month.shared == {"EKS": nano(0.001)}
    assert month.bill == nano(0.011)


def test_time_is_charged_to_the_hours_that_it_belongs_to() -> None:
    ledger = after(at(-20), at(10))
    noon = int(NOON)
    assert {start: bucket.metered for start, bucket in ledger.buckets.items()} == {
        noon - HOUR: 20_000,
        noon: 10_000,
    }


def test_requests_are_counted_between_observations() -> None:
    ledger = after(at(0, requests=100), at(10, requests=130))
    assert ledger.since(0).apis["a"].requests == 30


def test_all_requests_of_a_new_api_count() -> None:
    ledger = after(observation(at=NOON), at(10, requests=7))
    assert ledger.since(0).apis["a"].requests == 7


def test_requests_that_are_not_reported_yet_count_once_they_are() -> None:
    ledger = after(at(0, requests=100), at(10, requests=None), at(20, requests=130))
    assert ledger.since(0).apis["a"].requests == 30


def test_a_new_gateway_counts_from_zero() -> None:
    ledger = after(at(0, requests=100), at(10, requests=4))
    assert ledger.since(0).apis["a"].requests == 4


def test_a_short_gap_is_charged_and_a_long_one_is_not() -> None:
    assert after(at(0), at(900)).since(0).metered == 900_000
    long = after(at(0), at(901)).since(0)
    assert (long.metered, long.unmetered, long.bill) == (0, 901_000, 0)


def test_a_clock_that_was_set_back_charges_nothing_twice() -> None:
    ledger = after(at(0), at(100), at(50), at(110))
    assert ledger.since(0).metered == 110_000


def test_old_hours_are_joined_into_days_and_those_before_the_last_month_are_dropped() -> None:
    ledger = CostLedger()
    for hour in range(0, 70 * 24, 1):
        # twelve minutes of each hour
        ledger = after(at(hour * HOUR - 720), at(hour * HOUR), ledger=ledger)
    now = NOON + 69 * DAY + 23 * HOUR
    starts = sorted(ledger.buckets)
    assert starts[0] >= month_start(now, 1)
    days = [bucket for bucket in ledger.buckets.values() if bucket.length == DAY]
    hours = [bucket for bucket in ledger.buckets.values() if bucket.length == HOUR]
    assert all(bucket.start < day_start(now) - 8 * DAY for bucket in days)
    assert all(bucket.metered == 24 * 720_000 for bucket in days)
    assert len(hours) <= 9 * 24
    assert len(ledger.buckets) <= 9 * 24 + 62
    whole = [bucket for bucket in hours if bucket.start >= month_start(now)]
    assert ledger.since(month_start(now)).bill >= sum(bucket.bill for bucket in whole)


def test_months_begin_and_end_in_utc() -> None:
    assert month_start(NOON) == datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    assert month_end(NOON) == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert month_start(NOON, 1) == datetime(2026, 10, 1, tzinfo=UTC).timestamp()


@given(st.lists(observations(st.floats(0, 20_000, allow_nan=False)), max_size=6))
def test_apis_idle_capacity_and_shared_parts_add_up_to_the_bill_exactly(
    observed: list[CostObservation],
) -> None:
    ledger = CostLedger()
    for each in observed:
        ledger = metered(ledger, each)
    for bucket in (*ledger.buckets.values(), ledger.since(0)):
        apis = sum(costs.part.cost for costs in bucket.apis.values())
        assert apis + bucket.idle + sum(bucket.shared.values()) == bucket.bill
    times = [each.at for each in observed]
    if times:
        total = ledger.since(0)
        assert total.metered + total.unmetered == int(max(times) * 1000) - int(times[0] * 1000)
