"""Prices from AWS: asked for at most once a day, and kept. Without an answer, the old ones stay."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from gyrus.cluster.aws.prices.cache import PriceCache
from gyrus.cluster.aws.prices.products import ProductQuestion, product_prices, questions
from gyrus.cluster.aws.prices.spot_history import spot_arguments, spot_prices
from gyrus.cluster.aws.prices.table import PriceTable, UnitPrice, instance, packaged_prices
from gyrus.cluster.errors import ClusterError

DAY = 24 * 3600.0
PRICING_REGION = "us-east-1"
"""The region whose Pricing API answers for all regions."""


class PagedCalls(Protocol):
    """The part of the calls of AWS that prices need. Raises ClusterError."""

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]: ...


@dataclass(slots=True)
class PriceRefresh:
    """The prices of one region."""

    region: str
    ec2: PagedCalls
    """Calls of the region."""
    pricing: PagedCalls
    """Calls of ``us-east-1``, where the Pricing API is."""
    cache: PriceCache | None = None
    """The file of the latest answers; None to keep them in memory alone."""
    table: PriceTable = field(init=False)
    failure: str = ""
    """The reason why the prices are old ones, as a sentence. Empty if AWS answered."""
    _answered: float | None = None
    """Seconds since the epoch at which AWS answered last."""

    def __post_init__(self) -> None:
        self.table = packaged_prices(self.region)
        if self.cache and (cached := self.cache.read(self.region)):
            self.table = self.table.updated(cached.prices)
            self._answered = cached.at

    async def refresh(self, instance_types: Collection[str], now: datetime) -> PriceTable:
        """Return prices that are at most a day old, or the latest known ones and :attr:`failure`."""
        if not self._is_due(instance_types, now.timestamp()):
            return self.table
        failures: list[str] = []
        newer: dict[str, UnitPrice] = {}
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._on_demand(instance_types, now), name="prices on demand"),
                group.create_task(self._spot(instance_types, now), name="spot prices"),
            ]
        for task in asked:
            prices, failure = task.result()
            newer |= prices
            failures += [failure] if failure else []
        self.table = self.table.updated(newer)
        self.failure = " ".join(failures)
        if not failures:
            self._answered = now.timestamp()
            if self.cache:
                self.cache.write(self.table, self._answered)
        return self.table

    def _is_due(self, instance_types: Iterable[str], now: float) -> bool:
        """Return True if the prices are old, or lack one of the types."""
        if self._answered is None or not 0 <= now - self._answered < DAY:
            return True
        return any(self.table.get(instance(name)) is None for name in instance_types)

    async def _on_demand(
        self, instance_types: Collection[str], now: datetime
    ) -> tuple[Mapping[str, UnitPrice], str]:
        failure, asked = "", list[asyncio.Task[list[str]]]()
        try:
            async with asyncio.TaskGroup() as group:
                asked += [
                    group.create_task(self._products(each), name="products")
                    for each in questions(self.region, sorted(instance_types))
                ]
        except* ClusterError as errors:
            failure = f"The Pricing API did not answer: {_first(errors)}"
        if failure:
            return {}, failure
        products = [text for task in asked for text in task.result()]
        return product_prices(products, self.region, now.astimezone(UTC).date()), ""

    async def _products(self, question: ProductQuestion) -> list[str]:
        return await self.pricing.pages("pricing", "get_products", "PriceList", **question.arguments)

    async def _spot(
        self, instance_types: Collection[str], now: datetime
    ) -> tuple[Mapping[str, UnitPrice], str]:
        try:
            history = await self.ec2.pages(
                "ec2",
                "describe_spot_price_history",
                "SpotPriceHistory",
                **spot_arguments(instance_types, now),
            )
        except ClusterError as error:
            return {}, f"Spot prices are unknown: {error}"
        return spot_prices(history), ""


def _first(errors: BaseExceptionGroup[ClusterError]) -> BaseException:
    """Return the first error of a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
