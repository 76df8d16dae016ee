"""The node groups with their prices."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.nodes.group_prices import ASSUMED_SHARE, GroupPrices, group_rules
from gyrus.cluster.aws.prices.refresh import PriceRefresh
from gyrus.cluster.aws.prices.spot_history import spot_prices
from gyrus.cluster.aws.prices.table import instance, packaged_prices
from gyrus.cluster.errors import ClusterError
from gyrus.nodes.state import CapacityType

TABLE = packaged_prices("us-east-1")


def group(name: str, instance_type: str, **changes: object) -> NodeGroup:
    return NodeGroup.model_validate({"name": name, "instance_type": instance_type, **changes})


def entry(zone: str, price: str, hour: int) -> dict[str, object]:
    return {
        "InstanceType": "m5.large",
        "AvailabilityZone": zone,
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": price,
        "Timestamp": datetime(2026, 11, 28, hour, tzinfo=UTC),
    }


def test_the_spot_price_of_a_group_is_the_average_of_its_zones() -> None:
    found = spot_prices([entry("a", "0.03", 2), entry("a", "0.05", 1), entry("b", "0.05", 1)])
    (planned,) = group_rules([group("cpu", "m5.large", spot=True)], TABLE.updated(found)).groups
    assert planned.price(CapacityType.SPOT) == 0.04


def test_spot_is_assumed_to_be_cheaper_until_its_price_is_known() -> None:
    (planned,) = group_rules([group("cpu", "m5.large", spot=True)], TABLE).groups
    assert planned.price(CapacityType.SPOT) == planned.price(CapacityType.ON_DEMAND) * ASSUMED_SHARE


def test_a_group_of_unknown_types_gets_no_nodes_and_others_do() -> None:
    groups = [group("cpu", "m5.large"), group("new", "m99.large")]
    assert [one.name for one in group_rules(groups, TABLE).groups] == ["cpu"]


def test_groups_with_gpus_have_a_taint_beside_others() -> None:
    both = [group("cpu", "m5.large"), group("gpu", "g5.xlarge")]
    assert group_rules(both, TABLE).taints == {"gpu": ("nvidia.com/gpu=true:NoSchedule",)}
    assert group_rules(both[1:], TABLE).taints == {}


class _Prices:
    """Answers with spot prices alone, or fails."""

    failure = ""

    async def pages(self, service: str, operation: str, key: str, /, **arguments: object) -> list[object]:
        if self.failure:
            raise ClusterError(self.failure)
        assert arguments["InstanceTypes"] == ["m5.large"]
        return [entry("a", "0.01", 1)]


def prices_of(aws: _Prices, *, public_addresses: bool = False) -> GroupPrices:
    refreshed = PriceRefresh("us-east-1", ec2=aws, pricing=None)
    return GroupPrices(refreshed, [group("cpu", "m5.large", spot=True)], SystemClock(), public_addresses)


async def test_a_refresh_changes_the_groups_and_the_table() -> None:
    prices = prices_of(_Prices())
    await prices.refresh()
    assert prices.rules().groups[0].price(CapacityType.SPOT) == 0.01
    assert [one.usd for one in prices.table("us-east-1").spot_prices("m5.large", ("a",))] == [0.01]
    assert prices.table("eu-west-1") is packaged_prices("eu-west-1")


async def test_a_failure_is_logged_once_and_the_prices_stay(caplog: pytest.LogCaptureFixture) -> None:
    aws = _Prices()
    aws.failure = "no route to host"
    prices = prices_of(aws)
    with caplog.at_level(logging.WARNING):
        await prices.refresh()
        await prices.refresh()
    assert [record.getMessage() for record in caplog.records] == [
        "The last known prices stay. Spot prices are unknown: no route to host"
    ]
    assert prices.table("us-east-1").get(instance("m5.large")) == TABLE.get(instance("m5.large"))


def test_a_node_costs_its_volume_and_its_public_address_too() -> None:
    volume = 0.08 * 50 / 730
    assert prices_of(_Prices()).attached("cpu") == pytest.approx(volume)
    assert prices_of(_Prices(), public_addresses=True).attached("cpu") == pytest.approx(volume + 0.005)
    assert prices_of(_Prices(), public_addresses=True).attached("other") == 0
