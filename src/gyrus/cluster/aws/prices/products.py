"""The answers of the Pricing API's ``GetProducts``, and the questions that lead to them. Pure.

Each product of an answer is a JSON text with the attributes of the product and the terms of its price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import msgspec

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

EC2, LOAD_BALANCING = "AmazonEC2", "AWSELB"
CURRENCY = "USD"
NAT_HOURS, BALANCER_HOURS = "NatGateway-Hours", "LoadBalancerUsage"
"""Ends of the usage types that count hours. Others count bytes, or capacity units."""
REGIONAL = "Regional"
"""Prefix of the usage type of NAT gateways of a whole region, which are another product."""


@dataclass(frozen=True, slots=True)
class ProductQuestion:
    """The arguments of one ``GetProducts``."""

    service: str
    fields: Mapping[str, str]

    @property
    def arguments(self) -> dict[str, Any]:
        filters = [
            {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in self.fields.items()
        ]
        return {"ServiceCode": self.service, "Filters": filters, "FormatVersion": "aws_v1"}


def questions(region: str, instance_types: Iterable[str]) -> tuple[ProductQuestion, ...]:
    """Return the questions whose answers hold the prices of these types and of the shared parts."""
    linux = {
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "regionCode": region,
    }
    families = {
        "Storage": EC2,
        "System Operation": EC2,
        "Provisioned Throughput": EC2,
        "NAT Gateway": EC2,
        "Load Balancer": LOAD_BALANCING,
        "Load Balancer-Network": LOAD_BALANCING,
    }
    return (
        *(ProductQuestion(EC2, {"instanceType": name} | linux) for name in instance_types),
        *(
            ProductQuestion(service, {"productFamily": family, "regionCode": region})
            for family, service in families.items()
        ),
    )


def product_prices(products: Iterable[str], region: str, today: date) -> dict[str, UnitPrice]:
    """Return the prices of the products that a cluster has, by their keys in the price table.

    Products of other regions, other products, and what is not readable are left out.
    """
    prices: dict[str, UnitPrice] = {}
    for text in products:
        for key, usd in _priced(text, region):
            prices[key] = UnitPrice(usd, PriceSource.PRICING_API, today)
    return prices


def _priced(text: str, region: str) -> Iterator[tuple[str, float]]:
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return
    product = _at(document, "product")
    attributes = _at(product, "attributes")
    key = _key(str(product.get("productFamily", "")), attributes)
    if key and attributes.get("regionCode") == region:
        yield from ((key, usd) for usd in _usd(document, attributes) if usd > 0)


def _key(family: str, attributes: Mapping[str, Any]) -> str | None:
    """Return the key of a product in the price table. Returns None if a cluster does not have it."""
    usage, kind = str(attributes.get("usagetype", "")), str(attributes.get("volumeApiName", ""))
    match family:
        case "Compute Instance" | "Compute Instance (bare metal)":
            return instance(str(attributes.get("instanceType", "")))
        case "Storage" if kind:
            return volume(kind)
        case "System Operation" if kind and "IOPS" in usage and ".tier" not in usage:
            return iops(kind)
        case "Provisioned Throughput" if kind:
            return throughput(kind)
        case "NAT Gateway" if usage.endswith(NAT_HOURS) and REGIONAL not in usage:
            return NAT_GATEWAY
        case "Load Balancer-Network" if usage.endswith(BALANCER_HOURS):
            return NETWORK_LOAD_BALANCER
        case "Load Balancer" if usage.endswith(BALANCER_HOURS):
            return CLASSIC_LOAD_BALANCER
        case _:
            return None


def _usd(document: Mapping[str, Any], attributes: Mapping[str, Any]) -> Iterator[float]:
    """Yield the price on demand, per hour or per month and unit."""
    for term in _at(_at(document, "terms"), "OnDemand").values():
        for dimension in _at(term, "priceDimensions").values():
            text = _at(dimension, "pricePerUnit").get(CURRENCY)
            per_gib = "GiBps" in str(_at(dimension).get("unit", ""))
            try:
                yield float(str(text)) / (1024 if per_gib else 1)
            except ValueError:
                continue


def _at(value: Any, name: str | None = None) -> Mapping[str, Any]:
    """Return an object of a JSON document. Returns an empty one if there is none."""
    found = cast("Mapping[str, Any]", value).get(name) if name and isinstance(value, dict) else value
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}
