"""The answer of EC2's ``DescribeSpotPriceHistory``: present spot prices by type and zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gyrus.cluster.aws.prices.table import PriceSource, UnitPrice, spot

PRODUCT = "Linux/UNIX"


def spot_arguments(instance_types: Iterable[str], now: datetime) -> dict[str, Any]:
    """Return the arguments that ask for present prices: with a start of now, EC2 returns those in force."""
    return {
        "InstanceTypes": sorted(instance_types),
        "ProductDescriptions": [PRODUCT],
        "StartTime": now.astimezone(UTC),
    }


def spot_prices(history: Iterable[Mapping[str, Any]]) -> dict[str, UnitPrice]:
    """Return the latest price of each type and zone. Entries that are not readable are left out."""
    latest: dict[str, tuple[datetime, float]] = {}
    for entry in history:
        found = _entry(entry)
        if found and (found[0] not in latest or latest[found[0]][0] <= found[1]):
            latest[found[0]] = found[1:]
    return {key: UnitPrice(usd, PriceSource.SPOT_HISTORY, time.date()) for key, (time, usd) in latest.items()}


def _entry(entry: Mapping[str, Any]) -> tuple[str, datetime, float] | None:
    if not str(entry.get("ProductDescription", "")).startswith(PRODUCT):
        return None
    try:
        usd, time = float(entry["SpotPrice"]), entry["Timestamp"]
        key = spot(str(entry["InstanceType"]), str(entry["AvailabilityZone"]))
    except (KeyError, TypeError, ValueError):
        return None
    return (key, time, usd) if isinstance(time, datetime) and usd > 0 else None
