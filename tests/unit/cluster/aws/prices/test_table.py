"""The packaged table of prices."""

from __future__ import annotations

import pytest

from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.prices.table import (
    CLASSIC_LOAD_BALANCER,
    CONTROL_PLANE,
    NAT_GATEWAY,
    NETWORK_LOAD_BALANCER,
    ON_DEMAND_AS_OF,
    PriceSource,
    UnitPrice,
    instance,
    iops,
    packaged_prices,
    spot,
    throughput,
    volume,
)


def usd(region: str, key: str) -> float:
    price = packaged_prices(region).get(key)
    assert price is not None
    return price.usd


def test_every_known_instance_type_has_a_price() -> None:
    table = packaged_prices("us-east-1")
    assert [name for name in known_types() if table.get(instance(name)) is None] == []


def test_larger_sizes_cost_more() -> None:
    sizes = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge")
    prices = [usd("us-east-1", instance(f"m5.{size}")) for size in sizes]
    assert prices == sorted(prices)
    assert prices[0] == 0.096


def test_prices_of_the_home_region_are_its_own() -> None:
    price = packaged_prices("us-east-1").get(instance("g5.xlarge"))
    assert price == UnitPrice(1.006, PriceSource.PACKAGE, ON_DEMAND_AS_OF)


def test_instances_of_another_region_have_the_prices_of_the_home_region() -> None:
    price = packaged_prices("eu-west-1").get(instance("g5.xlarge"))
    assert price == UnitPrice(1.006, PriceSource.OTHER_REGION, ON_DEMAND_AS_OF)


def test_shared_parts_of_another_region_have_its_own_prices() -> None:
    assert usd("sa-east-1", NAT_GATEWAY) == 0.093
    nat = packaged_prices("sa-east-1").get(NAT_GATEWAY)
    assert nat is not None
    assert nat.source is PriceSource.PACKAGE


def test_a_region_without_a_row_has_the_prices_of_the_home_region() -> None:
    price = packaged_prices("eu-south-2").get(NAT_GATEWAY)
    assert price is not None
    assert (price.usd, price.source) == (0.045, PriceSource.OTHER_REGION)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_rates_of_all_regions_are_the_same(region: str) -> None:
    assert usd(region, CONTROL_PLANE) == 0.1


def test_derived_prices_are_those_of_the_home_region() -> None:
    assert usd("us-east-1", CLASSIC_LOAD_BALANCER) == pytest.approx(0.025)
    assert usd("us-east-1", iops("gp3")) == pytest.approx(0.005)
    assert usd("us-east-1", throughput("gp3")) == pytest.approx(0.04)
    assert usd("us-east-1", iops("io1")) == 0.065
    assert usd("us-east-1", volume("gp3")) == 0.08
    assert usd("us-east-1", NETWORK_LOAD_BALANCER) == 0.0225


def test_newer_prices_replace_older_ones() -> None:
    newer = UnitPrice(1.2, PriceSource.PRICING_API, ON_DEMAND_AS_OF)
    table = packaged_prices("eu-west-1").updated({instance("g5.xlarge"): newer})
    assert table.get(instance("g5.xlarge")) == newer
    assert table.get(instance("m5.large")) == packaged_prices("eu-west-1").get(instance("m5.large"))


def test_spot_prices_are_those_of_the_zones() -> None:
    dear, cheap = (UnitPrice(value, PriceSource.SPOT_HISTORY, ON_DEMAND_AS_OF) for value in (0.05, 0.03))
    table = packaged_prices("us-east-1").updated(
        {spot("m5.large", "us-east-1a"): dear, spot("m5.large", "us-east-1b"): cheap}
    )
    assert table.spot_prices("m5.large", ("us-east-1b", "us-east-1c")) == (cheap,)
    assert table.spot_prices("m5.large", ()) == (dear, cheap)
    assert table.spot_prices("m5", ()) == ()
