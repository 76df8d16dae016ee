"""The unit prices of a cluster's region, as AWS states them now."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from gyrus.cli.output import print_note, warning

if TYPE_CHECKING:
    from gyrus.cli.aws.account import ClusterAccount
    from gyrus.cluster.aws.prices.table import PriceTable

WITHIN = 10.0
"""Seconds for AWS's answers. Prices are no reason to wait for longer."""


async def price_table(account: ClusterAccount, now: datetime) -> PriceTable:
    """Return the prices that AWS answers. If it does not, prints a note and returns the latest known ones."""
    from gyrus.cluster.aws.prices.cache import PriceCache
    from gyrus.cluster.aws.prices.refresh import price_refresh

    prices = price_refresh(account.aws, account.spec.region, PriceCache.of_user())
    types = {name for group in account.spec.node_groups for name in group.instance_types}
    failure = ""
    try:
        async with asyncio.timeout(WITHIN):
            await prices.refresh(types, now)
    except TimeoutError:
        failure = f"AWS did not state all of them within {WITHIN:g} seconds."
    if failure := failure or prices.failure:
        print_note(warning(f"Prices are the latest known ones. {failure}"))
    return prices.table
