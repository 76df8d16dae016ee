"""The hourly price of a cluster.yaml."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.prices.price_list import PriceLine, PriceList, hourly_prices, volume_price
from gyrus.cluster.aws.prices.table import (
    ON_DEMAND_AS_OF,
    PriceSource,
    UnitPrice,
    instance,
    packaged_prices,
    spot,
)

TODAY = date(2026, 11, 28)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SPOT_GROUP = """
- name: gpu
  instance_type: g5.xlarge
  spot: true
  min_instances: 0
  max_instances: 8
  spot_config: {instance_distribution: [g5.2xlarge], on_demand_base_capacity: 1}
"""


def cluster(groups: str = "[{name: cpu, instance_type: m5.large}]", more: str = "") -> ClusterSpec:
    return parse_cluster(
        f"cluster_name: one-of-mine\nregion: us-east-1\n{more}\nnode_groups: {groups}", "cluster.yaml"
    )


def line(prices: PriceList, part: str) -> PriceLine:
    [found] = [each for each in prices.lines if each.part == part]
    return found


def parts(prices: PriceList) -> list[str]:
    return [each.part for each in prices.lines]


def test_a_cluster_has_a_line_for_each_part() -> None:
    prices = hourly_prices(cluster(), ZONES, today=TODAY)
    assert parts(prices) == [
        "EKS control plane",
        "nodes of cpu: m5.large",
        "volumes of cpu: 50 GiB gp3",
        "load balancer of the APIs (network)",
        "load balancer of the operator (network)",
        "operator's volume: 10 GiB gp3",
        "public IPv4 addresses",
    ]
    nodes = line(prices, "nodes of cpu: m5.large")
    assert (nodes.fewest, nodes.most, nodes.at_minimum, nodes.at_maximum) == (1, 5, 0.096, 0.48)
    expected = 0.1 + 0.096 + 50 * 0.08 / 730 + 2 * 0.0225 + 10 * 0.08 / 730 + 7 * 0.005
    assert prices.at_minimum == pytest.approx(expected)


def test_the_totals_are_the_sums_of_the_lines() -> None:
    prices = hourly_prices(cluster(SPOT_GROUP), ZONES, today=TODAY)
    assert prices.at_minimum == sum(each.at_minimum for each in prices.lines)
    assert prices.at_maximum == sum(each.at_maximum for each in prices.lines)


def test_extended_support_costs_more() -> None:
    prices = hourly_prices(cluster(more='kubernetes_version: "1.33"'), ZONES, today=TODAY)
    control_plane = line(prices, "EKS control plane")
    assert control_plane.at_minimum == 0.6
    assert control_plane.note == "Kubernetes 1.33 is in extended support since 2026-07-29"


def test_spot_nodes_without_a_known_spot_price_have_the_price_on_demand() -> None:
    prices = hourly_prices(cluster(SPOT_GROUP), ZONES, today=TODAY)
    base = line(prices, "nodes of gpu: g5.xlarge, g5.2xlarge")
    above = line(prices, "spot nodes of gpu: g5.xlarge, g5.2xlarge")
    assert (base.fewest, base.most, base.lowest, base.highest) == (0, 1, 1.006, 1.212)
    assert (above.fewest, above.most, above.lowest, above.highest) == (0, 7, 1.006, 1.212)
    assert above.note == "spot price unknown; this is the price on demand"


def test_known_spot_prices_count() -> None:
    found = {
        spot("g5.xlarge", "us-east-1a"): UnitPrice(0.4, PriceSource.SPOT_HISTORY, TODAY),
        spot("g5.2xlarge", "us-east-1b"): UnitPrice(0.5, PriceSource.SPOT_HISTORY, TODAY),
    }
    table = packaged_prices("us-east-1").updated(found)
    above = line(
        hourly_prices(cluster(SPOT_GROUP), ZONES, table, today=TODAY),
        "spot nodes of gpu: g5.xlarge, g5.2xlarge",
    )
    assert (above.lowest, above.highest, above.note) == (0.4, 0.5, "")
    assert above.source is PriceSource.SPOT_HISTORY


def test_private_subnets_have_nat_gateways_and_nodes_without_public_addresses() -> None:
    private = "subnet_visibility: private\nnat_gateway: highly_available"
    prices = hourly_prices(cluster(more=private), ZONES, today=TODAY)
    assert line(prices, "NAT gateways").at_minimum == pytest.approx(3 * 0.045)
    addresses = line(prices, "public IPv4 addresses")
    assert (addresses.fewest, addresses.most) == (9, 9)  # a gateway and two load balancers in each zone


def test_internal_load_balancers_have_no_public_addresses() -> None:
    internal = (
        "subnet_visibility: private\nnat_gateway: single\n"
        "api_load_balancer_scheme: internal\noperator_load_balancer_scheme: internal"
    )
    addresses = line(hourly_prices(cluster(more=internal), ZONES, today=TODAY), "public IPv4 addresses")
    assert (addresses.fewest, addresses.most) == (1, 1)


def test_a_classic_load_balancer_and_a_database_change_the_lines() -> None:
    more = "api_load_balancer_type: elb\ngyrus: {store: postgresql://gyrus@db.example.com/gyrus}"
    prices = hourly_prices(cluster(more=more), ZONES, today=TODAY)
    assert line(prices, "load balancer of the APIs (classic)").at_minimum == pytest.approx(0.025)
    assert "operator's volume: 10 GiB gp3" not in parts(prices)


def test_an_unknown_instance_type_has_no_price() -> None:
    prices = hourly_prices(cluster("[{name: new, instance_type: m99.large}]"), ZONES, today=TODAY)
    assert prices.unknown == ("nodes of new: m99.large",)
    assert line(prices, "nodes of new: m99.large").at_maximum == 0


def test_further_lines_count_as_well() -> None:
    extra = PriceLine(part="nodes of gyrus: t3.medium", fewest=2, most=2, lowest=0.0416, highest=0.0416)
    with_it = hourly_prices(cluster(), ZONES, today=TODAY, more=[extra])
    without = hourly_prices(cluster(), ZONES, today=TODAY)
    assert with_it.at_minimum == pytest.approx(without.at_minimum + 0.0832)


def test_operations_and_throughput_of_volumes_cost_extra() -> None:
    table = packaged_prices("us-east-1")
    plain = volume_price(table, "gp3", 100, 3000, 125)
    fast = volume_price(table, "gp3", 100, 4000, 250)
    provisioned = volume_price(table, "io1", 100, 2000, None)
    assert plain is not None
    assert fast is not None
    assert provisioned is not None
    assert plain.usd == pytest.approx(100 * 0.08 / 730)
    assert fast.usd == pytest.approx((100 * 0.08 + 1000 * 0.005 + 125 * 0.04) / 730)
    assert provisioned.usd == pytest.approx((100 * 0.125 + 2000 * 0.065) / 730)
    assert volume_price(table, "unknown", 100, None, None) is None


@given(
    fewest=st.integers(0, 5),
    more=st.integers(1, 5),
    base=st.integers(0, 5),
    percentage=st.integers(0, 100),
)
def test_spot_and_on_demand_nodes_are_all_nodes(fewest: int, more: int, base: int, percentage: int) -> None:
    group = (
        f"[{{name: a, instance_type: m5.large, spot: true, min_instances: {fewest}, "
        f"max_instances: {fewest + more}, "
        f"spot_config: {{on_demand_base_capacity: {min(base, fewest + more)}, "
        f"on_demand_percentage_above_base_capacity: {percentage}}}}}]"
    )
    nodes = [
        each for each in hourly_prices(cluster(group), ZONES, today=TODAY).lines if "nodes of" in each.part
    ]
    assert sum(each.fewest for each in nodes) == fewest
    assert sum(each.most for each in nodes) == fewest + more


def test_the_least_certain_source_of_a_line_is_shown() -> None:
    newer = {instance("g5.xlarge"): UnitPrice(1.1, PriceSource.PRICING_API, TODAY)}
    table = packaged_prices("eu-west-1").updated(newer)
    prices = hourly_prices(cluster(SPOT_GROUP), ZONES, table, today=TODAY)
    nodes = line(prices, "nodes of gpu: g5.xlarge, g5.2xlarge")
    assert (nodes.source, nodes.as_of) == (PriceSource.OTHER_REGION, ON_DEMAND_AS_OF)
