"""The present spot prices."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from gyrus.cluster.aws.prices.spot_history import spot_arguments, spot_prices
from gyrus.cluster.aws.prices.table import PriceSource, UnitPrice, spot

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def entry(
    price: object, hours: float = 1, zone: str = "eu-west-1a", product: str = "Linux/UNIX"
) -> dict[str, object]:
    return {
        "InstanceType": "m5.large",
        "AvailabilityZone": zone,
        "ProductDescription": product,
        "SpotPrice": price,
        "Timestamp": NOW - timedelta(hours=hours),
    }


def test_the_latest_price_of_each_zone_counts() -> None:
    history = [entry("0.04", 5), entry("0.05", 1), entry("0.03", 9), entry("0.06", 3, "eu-west-1b")]
    assert spot_prices(history) == {
        spot("m5.large", "eu-west-1a"): UnitPrice(0.05, PriceSource.SPOT_HISTORY, date(2026, 11, 28)),
        spot("m5.large", "eu-west-1b"): UnitPrice(0.06, PriceSource.SPOT_HISTORY, date(2026, 11, 28)),
    }


def test_what_is_no_price_of_linux_is_left_out() -> None:
    assert spot_prices([entry("0.04", product="Windows"), entry("none"), entry(None), entry("0"), {}]) == {}


def test_the_question_begins_now() -> None:
    assert spot_arguments(["m5.xlarge", "m5.large"], NOW) == {
        "InstanceTypes": ["m5.large", "m5.xlarge"],
        "ProductDescriptions": ["Linux/UNIX"],
        "StartTime": NOW,
    }
