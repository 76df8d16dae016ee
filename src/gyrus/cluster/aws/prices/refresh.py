"""Prices from AWS: once a day, and those of spot every five minutes. Without an answer, the old ones stay."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from gyrus.cluster.aws.calls import AwsCalls
from gyrus.cluster.aws.prices.cache import PriceCache
from gyrus.cluster.aws.prices.products import ProductQuestion, product_prices, questions
from gyrus.cluster.aws.prices.spot_history import spot_arguments, spot_prices
from gyrus.cluster.aws.prices.table import PriceTable, UnitPrice, instance, packaged_prices
from gyrus.cluster.aws.regions import partition_of
from gyrus.cluster.errors import ClusterError

DAY = 24 * 3600.0
SPOT_AGE = 300.0
"""Seconds after which spot prices are asked for again. They change a few times a day."""
PRICING_REGION = "us-east-1"
"""The region whose Pricing API answers for all regions."""


class PagedCalls(Protocol):
    """The part of the calls of AWS that prices need. Raises ClusterError."""

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]: ...


@dataclass(slots=True)
class PriceRefresh:
    """The prices of one region."""

    region: str
    ec2: PagedCalls | None
    """Calls of the region. None if its spot prices are not in US dollars."""
    pricing: PagedCalls | None
    """Calls of ``us-east-1``, where the Pricing API is. None if it does not know the account."""
    cache: PriceCache | None = None
    """The file of the latest answers; None to keep them in memory alone."""
    table: PriceTable = field(init=False)
    """The latest known prices."""
    failure: str = ""
    """The reason why prices are old ones, as a sentence. Empty if AWS answered."""
    _answered: float | None = None
    """Seconds since the epoch at which the Pricing API answered last."""
    _spot_answered: float | None = None
    """The same for spot prices."""

    def __post_init__(self) -> None:
        self.table = packaged_prices(self.region)
        if self.cache and (cached := self.cache.read(self.region)):
            self.table = self.table.updated(cached.prices)
            self._answered, self._spot_answered = cached.at, cached.spot_at

    async def refresh(self, instance_types: Collection[str], now: datetime) -> PriceTable:
        """Return prices that are recent, or the latest known ones and :attr:`failure`.

        An answer counts at once, also if the call is cancelled before the other one comes.
        """
        known = self._answered, self._spot_answered
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._on_demand(instance_types, now), name="prices on demand"),
                group.create_task(self._spot(instance_types, now), name="spot prices"),
            ]
        self.failure = " ".join(failure for task in asked if (failure := task.result()))
        if self.cache and known != (self._answered, self._spot_answered):
            self.cache.write(self.table, self._answered, self._spot_answered)
        return self.table

    def _lacks(self, instance_types: Iterable[str]) -> bool:
        return any(self.table.get(instance(name)) is None for name in instance_types)

    async def _on_demand(self, instance_types: Collection[str], now: datetime) -> str:
        """Ask the Pricing API if its prices are old, or lack one of the types. Returns its failure."""
        recent = _is_recent(self._answered, now, DAY) and not self._lacks(instance_types)
        if self.pricing is None or recent:
            return ""
        failure, asked = "", list[asyncio.Task[list[str]]]()
        try:
            async with asyncio.TaskGroup() as group:
                asked += [
                    group.create_task(_products(self.pricing, each), name="products")
                    for each in questions(self.region, sorted(instance_types))
                ]
        except* ClusterError as errors:
            failure = f"The Pricing API did not answer: {_first(errors)}"
        if failure:
            return failure
        products = [text for task in asked for text in task.result()]
        self._learn(product_prices(products, self.region, now.astimezone(UTC).date()))
        self._answered = now.timestamp()
        return ""

    async def _spot(self, instance_types: Collection[str], now: datetime) -> str:
        """Ask EC2 if the spot prices are old. Returns its failure."""
        if self.ec2 is None or not instance_types or _is_recent(self._spot_answered, now, SPOT_AGE):
            return ""
        try:
            history = await self.ec2.pages(
                "ec2",
                "describe_spot_price_history",
                "SpotPriceHistory",
                **spot_arguments(instance_types, now),
            )
        except ClusterError as error:
            return f"Spot prices are unknown: {error}"
        self._learn(spot_prices(history))
        self._spot_answered = now.timestamp()
        return ""

    def _learn(self, newer: Mapping[str, UnitPrice]) -> None:
        self.table = self.table.updated(newer)


def price_refresh(aws: PagedCalls, region: str, cache: PriceCache | None = None) -> PriceRefresh:
    """Return the refresh of a region's prices, which asks what its partition has. ``aws``: its calls.

    The Pricing API knows accounts of the usual partition alone, and prices in China are not in US dollars.
    """
    partition = partition_of(region)
    return PriceRefresh(
        region,
        ec2=None if partition == "aws-cn" else aws,
        pricing=AwsCalls(PRICING_REGION) if partition == "aws" else None,
        cache=cache,
    )


async def _products(pricing: PagedCalls, question: ProductQuestion) -> list[str]:
    return await pricing.pages("pricing", "get_products", "PriceList", **question.arguments)


def _is_recent(answered: float | None, now: datetime, age: float) -> bool:
    return answered is not None and 0 <= now.timestamp() - answered < age


def _first(errors: BaseExceptionGroup[ClusterError]) -> BaseException:
    """Return the first error of a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
