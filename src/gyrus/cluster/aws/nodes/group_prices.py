"""The node groups with their present prices."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gyrus.aio.clock import Clock
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.nodes.observation import GroupRules
from gyrus.cluster.aws.planned_groups import UnknownInstanceType, planned_group
from gyrus.cluster.aws.prices.price_list import node_volume_price
from gyrus.cluster.aws.prices.refresh import PriceRefresh
from gyrus.cluster.aws.prices.table import PUBLIC_ADDRESS, PriceTable, packaged_prices
from gyrus.cluster.aws.templates.node_boot import TAINTS, image_variant
from gyrus.nodes.state import PlannedGroup

log = logging.getLogger(__name__)

EVERY = 300.0
"""Seconds between two looks at the prices. The refresh decides which of them are old."""
ASSUMED_SHARE = 0.4
"""Share of the on-demand price that a spot instance is assumed to cost before its price is known. Without an
assumption, groups with spot instances would begin on demand."""


@dataclass(slots=True)
class GroupPrices:
    """The groups of one cluster, with prices that it keeps up to date."""

    refreshed: PriceRefresh
    groups: Sequence[NodeGroup]
    clock: Clock
    public_addresses: bool = False
    """True if each node has a public address, which is billed."""
    _rules: GroupRules = field(init=False)
    _logged: str = ""

    def __post_init__(self) -> None:
        self._rules = group_rules(self.groups, self.refreshed.table)

    def rules(self) -> GroupRules:
        """Return the groups with the present prices."""
        return self._rules

    def unpriced(self) -> tuple[str, ...]:
        """Return the groups whose instance types are unknown: no nodes can be planned for them."""
        known = {one.name for one in self._rules.groups}
        return tuple(group.name for group in self.groups if group.name not in known)

    def table(self, region: str) -> PriceTable:
        """Return the prices of a region: of the cluster's own the present ones, else the package's."""
        return self.refreshed.table if region == self.refreshed.region else packaged_prices(region)

    def attached(self, group: str) -> float:
        """Return the price of what a node of a group has besides its instance: US dollars per hour."""
        table = self.refreshed.table
        found = [node_volume_price(table, each) for each in self.groups if each.name == group]
        address = table.get(PUBLIC_ADDRESS) if found and self.public_addresses else None
        return sum(price.usd for price in (*found, address) if price)

    async def run(self) -> None:
        """Keep the prices up to date, until cancelled."""
        while True:
            await self.refresh()
            await self.clock.sleep(EVERY)

    async def refresh(self) -> None:
        """Ask for prices that are old. A failure is logged once, and the last known prices stay."""
        types = {name for group in self.groups for name in group.instance_types}
        await self.refreshed.refresh(types, self.clock.now())
        self._rules = group_rules(self.groups, self.refreshed.table)
        failure = self.refreshed.failure
        if failure and failure != self._logged:
            log.warning("The last known prices stay. %s", failure)
        self._logged = failure


def group_rules(groups: Sequence[NodeGroup], table: PriceTable) -> GroupRules:
    """Return the groups for the planner. Those with unknown instance types are left out."""
    planned: list[PlannedGroup] = []
    for group in groups:
        with suppress(UnknownInstanceType):
            planned.append(_with_assumed_prices(planned_group(group, known_types(), table)))
    return GroupRules(groups=tuple(planned), taints=group_taints(groups))


def _with_assumed_prices(group: PlannedGroup) -> PlannedGroup:
    types = (
        one if one.spot_price is not None else replace(one, spot_price=one.on_demand_price * ASSUMED_SHARE)
        for one in group.instance_types
    )
    return replace(group, instance_types=tuple(types))


def group_taints(groups: Sequence[NodeGroup]) -> dict[str, tuple[str, ...]]:
    """Return the taints of the groups, as their nodes register with them."""
    variants = {group.name: image_variant(group) for group in groups}
    some_standard = any(variants[group.name] == "standard" for group in groups if group.max_instances)
    return {
        name: (f"{TAINTS[variant]}=true:NoSchedule",)
        for name, variant in variants.items()
        if some_standard and variant in TAINTS
    }
