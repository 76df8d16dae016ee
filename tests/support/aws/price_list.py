"""Products as the Pricing API describes them."""

from __future__ import annotations

import json


def product(
    family: str, price: str = "0.107", unit: str = "Hrs", region: str = "eu-west-1", **more: str
) -> str:
    dimension = {"unit": unit, "pricePerUnit": {"USD": price}, "description": "a price"}
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": {"regionCode": region, **more}, "sku": "X"},
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {"X.J": {"priceDimensions": {"X.J.6": dimension}}}},
        }
    )
