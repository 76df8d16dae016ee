"""Node groups of cluster.yaml as the planner of nodes needs them."""

from __future__ import annotations

from datetime import date

import pytest

from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.planned_groups import (
    MIB,
    UnknownInstanceType,
    allocatable,
    most_pods,
    planned_groups,
    planned_scaler,
    reserved_cpu,
)
from gyrus.cluster.aws.prices.table import PriceSource, PriceTable, UnitPrice, packaged_prices, spot
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import CapacityType, NodeScaler

CLUSTER = """
region: us-east-1
node_groups:
  - name: cpu
    instance_type: m5.large
    min_instances: 2
    max_instances: 9
    priority: 7
    spot: true
    spot_config:
      instance_distribution: [m5.xlarge]
      on_demand_base_capacity: 1
      on_demand_percentage_above_base_capacity: 25
  - {name: gpu, instance_type: g4dn.xlarge}
"""
PRICES = packaged_prices("us-east-1")


def test_a_group_has_the_numbers_of_the_file() -> None:
    spec = parse_cluster(CLUSTER, "cluster.yaml")
    cpu, gpu = planned_groups(spec, known_types(), PRICES, startup=150.0)
    assert (cpu.name, cpu.min_nodes, cpu.max_nodes, cpu.priority) == ("cpu", 2, 9, 7)
    assert (cpu.spot, cpu.on_demand_base, cpu.on_demand_percentage) == (True, 1, 25)
    assert [one.name for one in cpu.instance_types] == ["m5.large", "m5.xlarge"]
    assert cpu.price(CapacityType.ON_DEMAND) == pytest.approx((0.096 + 0.192) / 2)
    assert cpu.allocatable == allocatable(known_types()["m5.large"]), "the smallest type counts"
    assert cpu.startup == 150.0
    assert (gpu.name, gpu.spot, gpu.allocatable.gpu, gpu.on_demand_base) == ("gpu", False, 1, 0)
    assert planned_scaler(spec) is NodeScaler.GYRUS


def test_a_node_offers_what_the_system_leaves() -> None:
    """By hand: 8,192 MiB less 7.5 %, 11 x 29 + 255 MiB, 100 MiB and 120 MiB; 2,000m less 70m and 180m."""
    found = allocatable(known_types()["m5.large"])
    assert found == NodeResources(cpu=1750, memory=(7577 - 574 - 100 - 120) * MIB, pods=25)


@pytest.mark.parametrize(("cores", "reserved"), [(1, 60), (2, 70), (4, 80), (16, 110), (64, 230), (192, 550)])
def test_the_kubelet_reserves_cpu_by_the_number_of_cores(cores: int, reserved: int) -> None:
    assert reserved_cpu(cores) == reserved


@pytest.mark.parametrize(
    ("name", "pods"),
    [("t3.medium", 17), ("m5.large", 29), ("m5.2xlarge", 58), ("m5.4xlarge", 234), ("c5.9xlarge", 234),
     ("m5.16xlarge", 737), ("g4dn.2xlarge", 29), ("p4d.24xlarge", 737)],
)  # fmt: skip
def test_network_interfaces_limit_the_pods_of_a_node(name: str, pods: int) -> None:
    assert most_pods(known_types()[name]) == pods


def test_every_known_type_can_be_a_node() -> None:
    for name, kind in known_types().items():
        if not name.endswith(("nano", "micro")):
            assert NodeResources(cpu=100, memory=100 * MIB).fits(allocatable(kind)), name


def test_a_spot_price_is_the_mean_of_the_zones() -> None:
    day = date(2026, 11, 28)
    newer = {
        spot("g4dn.xlarge", zone): UnitPrice(usd, PriceSource.SPOT_HISTORY, day)
        for zone, usd in (("us-east-1a", 0.2), ("us-east-1b", 0.3))
    }
    spec = parse_cluster(CLUSTER, "cluster.yaml")
    [cpu, gpu] = planned_groups(spec, known_types(), PRICES.updated(newer))
    assert gpu.instance_types[0].spot_price == pytest.approx(0.25)
    assert cpu.instance_types[0].spot_price is None


def test_a_type_without_a_price_is_an_error() -> None:
    spec = parse_cluster(CLUSTER, "cluster.yaml")
    with pytest.raises(UnknownInstanceType) as caught:
        planned_groups(spec, known_types(), PriceTable("us-east-1", {}))
    assert str(caught.value) == "Node group cpu: gyrus does not know the price of the instance type m5.large"


def test_a_type_without_known_resources_is_an_error() -> None:
    spec = parse_cluster(CLUSTER.replace("g4dn.xlarge", "z9.large"), "cluster.yaml")
    with pytest.raises(UnknownInstanceType) as caught:
        planned_groups(spec, known_types(), PRICES)
    assert str(caught.value) == (
        "Node group gpu: gyrus does not know the resources of the instance type z9.large"
    )
