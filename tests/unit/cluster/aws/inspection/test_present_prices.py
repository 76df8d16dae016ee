"""The price of what runs, against the price by the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.aio.clock import SystemClock
from gyrus.backends.protocol import RunningMachine
from gyrus.cluster.aws.inspection.facts import ScalingFacts
from gyrus.cluster.aws.inspection.node_status import node_statuses
from gyrus.cluster.aws.inspection.present_prices import present_prices
from gyrus.cluster.aws.installation import node_scaling
from gyrus.cluster.aws.nodes.group_prices import GroupPrices
from gyrus.cluster.aws.prices.price_list import hourly_prices, shared_costs
from gyrus.cluster.aws.prices.refresh import PriceRefresh
from gyrus.contract.operator import AmountView
from gyrus.nodes.state import CapacityType
from gyrus.operator.machine_prices import MachinePrices
from support.aws.cluster_facts import NOW, cluster, scaling_group

ZONES = ("us-east-1a", "us-east-1b")
TODAY = NOW.date()


@given(running=st.integers(0, 9), visibility=st.sampled_from(["public", "private"]))
def test_the_fewest_nodes_of_the_file_cost_its_minimum(running: int, visibility: str) -> None:
    groups = f"[{{name: cpu, instance_type: m5.large, min_instances: {running}, max_instances: 9}}]"
    spec = cluster(groups, f"subnet_visibility: {visibility}")
    scaling = ScalingFacts(groups=(scaling_group(*(f"i-{number}" for number in range(running))),))
    now = present_prices(spec, ZONES, node_statuses(scaling, None), today=TODAY)
    assert now.at_minimum == pytest.approx(hourly_prices(spec, ZONES, today=TODAY).at_minimum)
    assert now.at_minimum == now.at_maximum


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_the_parts_that_the_operator_charges_equal_it(visibility: str) -> None:
    spec = cluster(more=f"subnet_visibility: {visibility}")
    scaling = ScalingFacts(groups=(scaling_group("i-1", "i-2"),))
    now = present_prices(spec, ZONES, node_statuses(scaling, None), today=TODAY)
    settings = node_scaling(spec, {}, shared_costs(spec, ZONES, today=TODAY))
    refreshed = PriceRefresh(spec.region, None, None)
    prices = GroupPrices(refreshed, settings.groups, SystemClock(), settings.public_addresses)
    price_of = MachinePrices(table_of=prices.table, attached=lambda machine: prices.attached(machine.group))
    node = RunningMachine(
        name="n",
        total=AmountView(cpu=2, mem=2**33, gpu=0),
        instance_type="m5.large",
        group="cpu",
        region=spec.region,
        zone=ZONES[0],
    )
    found = price_of(node)
    assert found is not None
    assert 2 * found.usd + sum(settings.shared_costs.values()) == pytest.approx(now.at_minimum, abs=1e-7)


def test_spot_nodes_without_known_prices() -> None:
    scaling = ScalingFacts(groups=(scaling_group("i-1", capacity=CapacityType.SPOT),))
    now = present_prices(cluster(), ZONES, node_statuses(scaling, None), today=TODAY)
    line = next(line for line in now.lines if line.part.startswith("spot"))
    assert line.part == "spot nodes of cpu: m5.large in us-east-1a"
    assert line.note == "spot price unknown; this is the price on demand"
    assert line.lowest == 0.096


def test_a_type_without_a_price() -> None:
    group = scaling_group("i-1")
    odd = group.instances[0].__class__(
        id="i-1", instance_type="z9.large", zone="us-east-1a", leaves=False, version="1"
    )
    scaling = ScalingFacts(groups=(scaling_group(instances=(odd,)),))
    now = present_prices(cluster(), ZONES, node_statuses(scaling, None), today=TODAY)
    assert now.unknown == ("on-demand nodes of cpu: z9.large in us-east-1a",)
