"""The node groups with their prices."""

from __future__ import annotations

from datetime import UTC, date, datetime

from gyrus.aio.clock import SystemClock
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.nodes.group_prices import ASSUMED_SHARE, GroupPrices, group_rules, latest_prices
from gyrus.cluster.aws.prices.table import PriceSource, UnitPrice, packaged_prices, spot
from gyrus.nodes.state import CapacityType

TABLE = packaged_prices("us-east-1")


def group(name: str, instance_type: str, **changes: object) -> NodeGroup:
    return NodeGroup.model_validate({"name": name, "instance_type": instance_type, **changes})


def entry(zone: str, price: str, hour: int) -> dict[str, object]:
    return {
        "InstanceType": "m5.large",
        "AvailabilityZone": zone,
        "SpotPrice": price,
        "Timestamp": datetime(2026, 11, 28, hour, tzinfo=UTC),
    }


def test_the_latest_price_of_each_zone_counts() -> None:
    found = latest_prices([entry("a", "0.03", 2), entry("a", "0.05", 1), entry("b", "0.05", 1)])
    assert found == {
        spot("m5.large", "a"): UnitPrice(0.03, PriceSource.SPOT_HISTORY, date(2026, 11, 28)),
        spot("m5.large", "b"): UnitPrice(0.05, PriceSource.SPOT_HISTORY, date(2026, 11, 28)),
    }
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
    """Answers with spot prices alone."""

    async def call(self, service: str, operation: str, /, **arguments: object) -> dict[str, object]:
        raise NotImplementedError(operation)

    async def pages(self, service: str, operation: str, key: str, /, **arguments: object) -> list[object]:
        assert arguments["InstanceTypes"] == ["m5.large"]
        return [entry("a", "0.01", 1)]


async def test_a_refresh_changes_the_groups() -> None:
    prices = GroupPrices(_Prices(), "us-east-1", [group("cpu", "m5.large", spot=True)], SystemClock())
    await prices.refresh()
    assert prices.rules().groups[0].price(CapacityType.SPOT) == 0.01
