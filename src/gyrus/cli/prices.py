"""The hourly price of a cluster on AWS, as a table with its sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gyrus.cli.money import signed_usd, usd
from gyrus.cli.output import bold, figures_beside

if TYPE_CHECKING:
    from gyrus.cluster.aws.prices.price_list import PriceLine, PriceList

HEADERS = ("PART", "NUMBER", "EACH AN HOUR", "AT MINIMUM", "AT MAXIMUM")
HOURS_A_MONTH = 730
NOT_INCLUDED = "Not included, since billed by use: traffic, capacity units of load balancers, S3, CloudWatch."


def drawn_prices(prices: PriceList) -> str:
    """Format a cluster's hourly price: a row for each part, the totals, and where the prices come from."""
    unknown = bool(prices.unknown)
    total = ("total", "", "", _total(prices.at_minimum, unknown), _total(prices.at_maximum, unknown))
    rows = [*(_row(line) for line in prices.lines), total]
    lines = [*figures_beside(HEADERS, rows).splitlines(), "", *_notes(prices)]
    return "\n".join(lines)


def drawn_change(before: PriceList, after: PriceList) -> str:
    """Format the totals of a cluster's hourly price before and after a change."""
    rows = [
        ("before", usd(before.at_minimum), usd(before.at_maximum)),
        ("after", usd(after.at_minimum), usd(after.at_maximum)),
        (
            "change",
            signed_usd(after.at_minimum - before.at_minimum),
            signed_usd(after.at_maximum - before.at_maximum),
        ),
    ]
    return figures_beside(("PRICE AN HOUR", "AT MINIMUM", "AT MAXIMUM"), rows)


def _row(line: PriceLine) -> tuple[str, ...]:
    number = f"{line.fewest}" if line.fewest == line.most else f"{line.fewest} to {line.most}"
    if line.lowest is None or line.highest is None:
        return line.part, number, "unknown", "", ""
    each = usd(line.lowest) if line.lowest == line.highest else f"{usd(line.lowest)} to {usd(line.highest)}"
    return line.part, number, each, usd(line.at_minimum), usd(line.at_maximum)


def _total(amount: float, unknown: bool) -> str:
    return bold(f"over {usd(amount)}" if unknown else usd(amount))


def _notes(prices: PriceList) -> Iterator[str]:
    """Yield what a reader must know about the figures."""
    low, high = (amount * HOURS_A_MONTH for amount in (prices.at_minimum, prices.at_maximum))
    yield f"A month of {HOURS_A_MONTH} hours: {usd(low)} to {usd(high)}. {NOT_INCLUDED}"
    for line in prices.lines:
        if line.note:
            yield f"{line.part}: {line.note}."
    if prices.unknown:
        yield "The totals lack the parts whose price is unknown."
    yield from _sources(prices)


def _sources(prices: PriceList) -> Iterator[str]:
    from gyrus.cluster.aws.prices.table import HOME, PriceSource

    dates = {
        source: sorted({line.as_of for line in prices.lines if line.source is source and line.as_of})
        for source in PriceSource
    }
    if found := dates[PriceSource.PACKAGE]:
        span = str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
        yield f"Prices of {prices.region} from the table in gyrus ({span})."
    if found := dates[PriceSource.OTHER_REGION]:
        parts = [line.part for line in prices.lines if line.source is PriceSource.OTHER_REGION]
        yield (
            f"About right only: the table in gyrus lacks {prices.region} for {len(parts)} of these lines, "
            f"which have the prices of {HOME} ({found[-1]}) until the Pricing API answers."
        )
    if found := dates[PriceSource.PRICING_API]:
        yield f"Prices of {prices.region} from the Pricing API ({found[0]})."
    if found := dates[PriceSource.SPOT_HISTORY]:
        yield f"Spot prices of {prices.region} ({found[0]}); they change."
