"""The division of machines' prices."""

from __future__ import annotations

import pytest
from hypothesis import given

from gyrus.contract.operator import AmountView
from gyrus.cost.division import divided, resource_rates
from gyrus.cost.money import nano
from gyrus.cost.observation import ApiUse, CostObservation, MachinePrice
from support.costs import GIB, machine, observation, observations

HOUR = 3_600_000


def amount(cpu: float, gib: float = 0, gpu: int = 0) -> AmountView:
    return AmountView(cpu=cpu, mem=round(gib * GIB), gpu=gpu)


def test_an_api_that_reserves_a_whole_machine_pays_for_it() -> None:
    parts = divided(observation(machine(0.1, amount(2, 8), a=amount(2, 8))), HOUR)
    assert parts.apis["a"].cost == nano(0.1)
    assert parts.idle == 0


def test_what_no_api_reserves_is_idle() -> None:
    parts = divided(observation(machine(0.1, amount(4), a=amount(1), b=amount(2))), HOUR)
    assert (parts.apis["a"].cost, parts.apis["b"].cost, parts.idle) == (25_000_000, 50_000_000, 25_000_000)


def test_a_gpu_costs_more_than_cores_and_memory() -> None:
    total = amount(8, 32, 1)
    parts = divided(observation(machine(1, total, gpu=amount(1, 1, 1), cpu=amount(7, 31))), HOUR)
    assert parts.apis["gpu"].cost > 2 * parts.apis["cpu"].cost
    assert parts.idle <= 2  # what rounding leaves


def test_an_overcommitted_machine_is_divided_in_the_ratio_of_the_reservations() -> None:
    parts = divided(observation(machine(0.1, amount(2), a=amount(2), b=amount(6))), HOUR)
    assert (parts.apis["a"].cost, parts.apis["b"].cost, parts.idle) == (25_000_000, 75_000_000, 0)


def test_slots_that_no_request_uses_are_unused() -> None:
    observed = observation(machine(0.1, amount(2), a=amount(2)), apis={"a": ApiUse(requests=0, busy=0.25)})
    part = divided(observed, HOUR).apis["a"]
    assert (part.cost, part.unused) == (100_000_000, 75_000_000)


def test_a_spot_machine_saves_the_difference_to_its_price_on_demand() -> None:
    priced = machine(0.1, amount(2), a=amount(1))
    spot = observation(
        type(priced)(
            name="spot",
            price=MachinePrice(usd=0.03, on_demand=0.1),
            total=priced.total,
            reservations=priced.reservations,
        )
    )
    parts = divided(spot, HOUR)
    assert (parts.apis["a"].spot_saved, parts.idle_spot_saved) == (35_000_000, 35_000_000)


def test_an_api_at_zero_saves_the_value_of_one_replica() -> None:
    use = ApiUse(requests=0, busy=0, at_zero=True, replica=amount(1))
    parts = divided(observation(machine(0.1, amount(4)), apis={"a": use}), HOUR)
    assert parts.apis["a"].zero_saved == pytest.approx(nano(0.025), abs=1)
    assert parts.apis["a"].cost == 0


def test_a_machine_without_a_price_costs_nothing() -> None:
    parts = divided(observation(machine(None, amount(4), a=amount(1))), HOUR)
    assert (parts.machines, parts.idle, parts.apis) == (0, 0, {})
    assert resource_rates([machine(None, amount(4))]) is None


def test_rates_are_those_at_which_the_machines_are_paid() -> None:
    total = amount(4, 16, 1)
    rates = resource_rates([machine(1, total), machine(2, total)])
    assert rates is not None
    assert rates.price(total) == pytest.approx(1.5)


@given(observations())
def test_the_parts_add_up_to_the_machines_exactly(observed: CostObservation) -> None:
    parts = divided(observed, 12_345)
    assert sum(part.cost for part in parts.apis.values()) + parts.idle == parts.machines
    assert parts.idle >= 0
    assert parts.idle_spot_saved >= 0
    assert all(0 <= part.unused <= part.cost for part in parts.apis.values())
