"""The price of what runs, against the price by the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.inspection.facts import ScalingFacts
from gyrus.cluster.aws.inspection.node_status import node_statuses
from gyrus.cluster.aws.inspection.present_prices import present_prices
from gyrus.cluster.aws.prices.price_list import hourly_prices
from gyrus.nodes.state import CapacityType
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
