"""The table of a cluster's prices."""

from __future__ import annotations

from datetime import date

import click

from gyrus.cli.prices import drawn_change, drawn_prices
from gyrus.cluster.aws.prices.price_list import PriceLine, PriceList
from gyrus.cluster.aws.prices.table import PriceSource

DAY = date(2026, 1, 19)


def price_list(*lines: PriceLine) -> PriceList:
    return PriceList("eu-west-1", lines)


def nodes(
    source: PriceSource | None = PriceSource.PACKAGE, price: float | None = 0.1, note: str = ""
) -> PriceLine:
    return PriceLine(
        part="nodes", fewest=1, most=5, lowest=price, highest=price, source=source, as_of=DAY, note=note
    )


def test_prices_are_a_table_with_totals() -> None:
    control_plane = PriceLine(
        part="EKS control plane",
        fewest=1,
        most=1,
        lowest=0.1,
        highest=0.1,
        source=PriceSource.PACKAGE,
        as_of=DAY,
    )
    assert click.unstyle(drawn_prices(price_list(control_plane, nodes(price=0.096)))).splitlines() == [
        "PART               NUMBER  EACH AN HOUR  AT MINIMUM  AT MAXIMUM",
        "EKS control plane       1         $0.10       $0.10       $0.10",
        "nodes              1 to 5       $0.0960     $0.0960       $0.48",
        "total                                       $0.1960       $0.58",
        "",
        "A month of 730 hours: $143.08 to $423.40. Not included, since billed by use: traffic, capacity "
        "units of load balancers, S3, CloudWatch.",
        "Prices of eu-west-1 from the table in gyrus (2026-01-19).",
    ]


def test_prices_of_another_region_are_called_about_right() -> None:
    text = drawn_prices(price_list(nodes(PriceSource.OTHER_REGION)))
    assert text.splitlines()[-1] == (
        "About right only: the table in gyrus lacks eu-west-1 for 1 of these lines, which have the prices of "
        "us-east-1 (2026-01-19) until the Pricing API answers."
    )


def test_prices_of_the_services_name_them() -> None:
    text = drawn_prices(price_list(nodes(PriceSource.PRICING_API), nodes(PriceSource.SPOT_HISTORY)))
    assert text.splitlines()[-2:] == [
        "Prices of eu-west-1 from the Pricing API (2026-01-19).",
        "Spot prices of eu-west-1 (2026-01-19); they change.",
    ]


def test_an_unknown_price_is_marked_in_its_line_and_in_the_totals() -> None:
    lines = click.unstyle(drawn_prices(price_list(nodes(None, None, "price unknown"), nodes()))).splitlines()
    assert lines[1].split() == ["nodes", "1", "to", "5", "unknown"]
    assert lines[3].split() == ["total", "over", "$0.10", "over", "$0.50"]
    assert "nodes: price unknown." in lines
    assert "The totals lack the parts whose price is unknown." in lines


def test_a_change_shows_both_totals_and_the_difference() -> None:
    text = click.unstyle(drawn_change(price_list(nodes()), price_list(nodes(price=0.3))))
    assert text.splitlines() == [
        "PRICE AN HOUR  AT MINIMUM  AT MAXIMUM",
        "before              $0.10       $0.50",
        "after               $0.30       $1.50",
        "change             +$0.20      +$1.00",
    ]
