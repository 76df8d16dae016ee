"""The Pricing API: products that tests have set, in the form of the service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

PAGE = 20


def answer(body: bytes, products: Sequence[str]) -> bytes:
    """Return one page of the products that have all fields of the question."""
    asked = json.loads(body)
    wanted = {each["Field"]: each["Value"] for each in asked.get("Filters", ())}
    first = int(asked.get("NextToken", 0))
    found = [text for text in products if _meets(json.loads(text), asked["ServiceCode"], wanted)]
    more = {"NextToken": str(first + PAGE)} if len(found) > first + PAGE else {}
    page = {"FormatVersion": "aws_v1", "PriceList": found[first : first + PAGE], **more}
    return json.dumps(page).encode()


def _meets(document: dict[str, Any], service: str, wanted: dict[str, str]) -> bool:
    product = document["product"]
    fields = {"productFamily": product["productFamily"], **product["attributes"]}
    return document["serviceCode"] == service and all(
        fields.get(name) == value for name, value in wanted.items()
    )
