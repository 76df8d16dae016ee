"""The price of each machine."""

from __future__ import annotations

from datetime import date

import pytest

from gyrus.backends.protocol import RunningMachine
from gyrus.cluster.aws.prices.table import PriceSource, PriceTable, UnitPrice, packaged_prices, spot
from gyrus.contract.operator import AmountView
from gyrus.cost.observation import MachinePrice
from gyrus.operator.machine_prices import MachinePrices

TOTAL = AmountView(cpu=2, mem=2**33, gpu=0)


def instance(name: str = "m5.large", *, is_spot: bool = False, price: float | None = None) -> RunningMachine:
    return RunningMachine(
        name="a",
        total=TOTAL,
        instance_type=name,
        spot=is_spot,
        region="us-east-1",
        zone="us-east-1a",
        price=price,
    )


def test_a_fixed_price_is_that_of_every_machine() -> None:
    assert MachinePrices(0.1)(instance(price=0.2)) == MachinePrice(usd=0.1, on_demand=0.1)


def test_a_machine_states_its_own_price() -> None:
    assert MachinePrices()(instance(price=0.2)) == MachinePrice(usd=0.2, on_demand=0.2)


def test_an_instance_of_aws_has_the_price_of_its_type() -> None:
    assert MachinePrices()(instance()) == MachinePrice(usd=0.096, on_demand=0.096)


@pytest.mark.parametrize(("zone", "usd"), [("us-east-1a", 0.03), ("us-east-1b", 0.096)])
def test_a_spot_instance_has_the_spot_price_of_its_zone_if_it_is_known(zone: str, usd: float) -> None:
    known = UnitPrice(0.03, PriceSource.SPOT_HISTORY, date(2026, 11, 28))

    def table(region: str) -> PriceTable:
        return packaged_prices(region).updated({spot("m5.large", zone): known})

    assert MachinePrices(table_of=table)(instance(is_spot=True)) == MachinePrice(usd=usd, on_demand=0.096)


def test_other_machines_have_no_price() -> None:
    assert MachinePrices()(RunningMachine(name="a", total=TOTAL, instance_type="m5.large")) is None
    assert MachinePrices()(instance("m99.large")) is None
