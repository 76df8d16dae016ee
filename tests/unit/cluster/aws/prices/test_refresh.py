"""Prices from AWS, at most once a day."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gyrus.cluster.aws.prices.cache import PriceCache
from gyrus.cluster.aws.prices.refresh import PriceRefresh, price_refresh
from gyrus.cluster.aws.prices.table import PriceSource, instance, packaged_prices, spot
from gyrus.cluster.errors import ClusterError
from support.aws.price_list import product

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TYPES = ("m5.large",)


@dataclass
class ScriptedAws:
    """Answers as AWS does, or fails."""

    price: str = "0.107"
    failure: str = ""
    calls: list[str] = field(default_factory=list[str])

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        self.calls.append(operation)
        if self.failure:
            raise ClusterError(self.failure)
        if operation == "get_products":
            fields = {each["Field"]: each["Value"] for each in arguments["Filters"]}
            kind = fields.get("instanceType")
            return [product("Compute Instance", self.price, instanceType=kind)] if kind else []
        return [
            {
                "InstanceType": "m5.large",
                "AvailabilityZone": "eu-west-1a",
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": "0.04",
                "Timestamp": NOW,
            }
        ]


def usd(refresh: PriceRefresh, key: str) -> float:
    price = refresh.table.get(key)
    assert price is not None
    return price.usd


async def test_prices_of_aws_replace_those_of_the_package() -> None:
    refresh = PriceRefresh("eu-west-1", ScriptedAws(), ScriptedAws())
    assert usd(refresh, instance("m5.large")) == 0.096
    table = await refresh.refresh(TYPES, NOW)
    price = table.get(instance("m5.large"))
    assert price is not None
    assert (price.usd, price.source, price.as_of) == (0.107, PriceSource.PRICING_API, NOW.date())
    assert usd(refresh, spot("m5.large", "eu-west-1a")) == 0.04
    assert refresh.failure == ""


async def test_they_are_asked_for_once_a_day_and_those_of_spot_every_five_minutes() -> None:
    aws = ScriptedAws()
    refresh = PriceRefresh("eu-west-1", aws, aws)
    await refresh.refresh(TYPES, NOW)
    number = len(aws.calls)
    await refresh.refresh(TYPES, NOW + timedelta(minutes=4))
    assert len(aws.calls) == number
    await refresh.refresh(TYPES, NOW + timedelta(hours=23))
    assert aws.calls[number:] == ["describe_spot_price_history"]
    aws.price = "0.2"
    await refresh.refresh(TYPES, NOW + timedelta(hours=25))
    assert usd(refresh, instance("m5.large")) == 0.2


async def test_a_type_without_a_price_is_asked_for_at_once() -> None:
    aws = ScriptedAws()
    refresh = PriceRefresh("eu-west-1", aws, aws)
    await refresh.refresh(TYPES, NOW)
    await refresh.refresh(("m99.large",), NOW)
    assert usd(refresh, instance("m99.large")) == 0.107


async def test_a_failure_leaves_the_old_prices_and_names_its_cause() -> None:
    aws = ScriptedAws(failure="no route to host")
    refresh = PriceRefresh("eu-west-1", aws, aws)
    assert await refresh.refresh(TYPES, NOW) == packaged_prices("eu-west-1")
    assert refresh.failure == (
        "The Pricing API did not answer: no route to host Spot prices are unknown: no route to host"
    )
    aws.failure = ""
    await refresh.refresh(TYPES, NOW)
    assert (usd(refresh, instance("m5.large")), refresh.failure) == (0.107, "")


async def test_one_of_two_answers_counts() -> None:
    refresh = PriceRefresh("eu-west-1", ScriptedAws(), ScriptedAws(failure="denied"))
    await refresh.refresh(TYPES, NOW)
    assert usd(refresh, instance("m5.large")) == 0.096
    assert usd(refresh, spot("m5.large", "eu-west-1a")) == 0.04
    assert refresh.failure == "The Pricing API did not answer: denied"


async def test_the_next_process_finds_them_in_the_cache(tmp_path: Path) -> None:
    cache, aws = PriceCache(tmp_path / "prices"), ScriptedAws()
    await PriceRefresh("eu-west-1", aws, aws, cache).refresh(TYPES, NOW)
    number = len(aws.calls)
    again = PriceRefresh("eu-west-1", aws, aws, cache)
    await again.refresh(TYPES, NOW + timedelta(minutes=1))
    assert usd(again, instance("m5.large")) == 0.107
    assert len(aws.calls) == number


def test_a_damaged_cache_counts_as_none(tmp_path: Path) -> None:
    cache = PriceCache(tmp_path)
    assert cache.read("eu-west-1") is None
    (tmp_path / "eu-west-1.json").write_text("{")
    assert cache.read("eu-west-1") is None
    (tmp_path / "eu-west-1.json").write_text('{"version": 99, "at": 0, "spot_at": 0, "prices": {}}')
    assert cache.read("eu-west-1") is None


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    PriceCache(tmp_path / "file" / "prices").write(packaged_prices("eu-west-1"), 0, 0)


async def test_an_answer_counts_although_the_other_one_does_not_come() -> None:
    class Silent(ScriptedAws):
        async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
            await asyncio.Event().wait()
            return []

    refresh = PriceRefresh("eu-west-1", ScriptedAws(), Silent())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await refresh.refresh(TYPES, NOW)
    assert usd(refresh, spot("m5.large", "eu-west-1a")) == 0.04


def test_a_partition_is_asked_for_the_prices_that_it_has() -> None:
    asked = {
        region: (refresh.ec2 is not None, refresh.pricing is not None)
        for region in ("eu-west-1", "us-gov-west-1", "cn-north-1")
        for refresh in [price_refresh(ScriptedAws(), region)]
    }
    assert asked == {
        "eu-west-1": (True, True),
        "us-gov-west-1": (True, False),
        "cn-north-1": (False, False),
    }
