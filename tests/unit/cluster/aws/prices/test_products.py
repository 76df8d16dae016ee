"""The answers of the Pricing API. No emulator has it: the texts have the shape of AWS's documentation."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gyrus.cluster.aws.prices.products import product_prices, questions
from gyrus.cluster.aws.prices.table import (
    CLASSIC_LOAD_BALANCER,
    NAT_GATEWAY,
    NETWORK_LOAD_BALANCER,
    PriceSource,
    UnitPrice,
    instance,
    iops,
    throughput,
    volume,
)
from support.aws.price_list import product

TODAY = date(2026, 11, 28)


def found(*products: str) -> dict[str, float]:
    return {key: price.usd for key, price in product_prices(products, "eu-west-1", TODAY).items()}


def test_an_instance_has_its_price() -> None:
    prices = product_prices([product("Compute Instance", instanceType="m5.large")], "eu-west-1", TODAY)
    assert prices == {instance("m5.large"): UnitPrice(0.107, PriceSource.PRICING_API, TODAY)}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (product("Compute Instance (bare metal)", instanceType="m5.metal"), instance("m5.metal")),
        (product("Storage", volumeApiName="gp3", usagetype="EU-EBS:VolumeUsage.gp3"), volume("gp3")),
        (
            product("System Operation", volumeApiName="io1", usagetype="EU-EBS:VolumeP-IOPS.piops"),
            iops("io1"),
        ),
        (product("System Operation", volumeApiName="gp3", usagetype="EU-EBS:VolumeP-IOPS.gp3"), iops("gp3")),
        (product("NAT Gateway", usagetype="EU-NatGateway-Hours"), NAT_GATEWAY),
        (product("Load Balancer-Network", usagetype="EU-LoadBalancerUsage"), NETWORK_LOAD_BALANCER),
        (product("Load Balancer", usagetype="EU-LoadBalancerUsage"), CLASSIC_LOAD_BALANCER),
    ],
)
def test_each_part_of_a_cluster_has_its_key(text: str, key: str) -> None:
    assert found(text) == {key: 0.107}


def test_throughput_for_each_gib_is_converted_to_mib() -> None:
    text = product("Provisioned Throughput", "45.056", "GiBps-mo", volumeApiName="gp3", usagetype="X")
    assert found(text) == {throughput("gp3"): 0.044}


@pytest.mark.parametrize(
    "text",
    [
        product("NAT Gateway", usagetype="EU-NatGateway-Bytes"),
        product("NAT Gateway", usagetype="EU-RegionalNatGateway-Hours"),
        product("Load Balancer-Network", usagetype="EU-LCUUsage"),
        product("Compute Instance", region="us-east-1", instanceType="m5.large"),
        product("Compute Instance", price="0", instanceType="m5.large"),
        product("Compute Instance", price="none", instanceType="m5.large"),
        product("System Operation", volumeApiName="io2", usagetype="EU-EBS:VolumeP-IOPS.io2.tier2"),
        product("Storage Snapshot", usagetype="EU-EBS:SnapshotUsage"),
        "[]",
        "{",
        '{"product": 1}',
    ],
)
def test_everything_else_is_left_out(text: str) -> None:
    assert found(text) == {}


def test_questions_name_the_region_and_each_type() -> None:
    asked = [question.arguments for question in questions("eu-west-1", ["m5.large"])]

    def fields(arguments: dict[str, Any]) -> dict[str, str]:
        return {each["Field"]: each["Value"] for each in arguments["Filters"]}

    assert all(fields(each)["regionCode"] == "eu-west-1" for each in asked)
    assert fields(asked[0])["instanceType"] == "m5.large"
    assert [each["ServiceCode"] for each in asked].count("AWSELB") == 2
