"""The node groups with their present prices."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gyrus.aio.clock import Clock
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.errors import AwsError
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.nodes.observation import GroupRules
from gyrus.cluster.aws.planned_groups import UnknownInstanceType, planned_group
from gyrus.cluster.aws.prices.table import PriceSource, PriceTable, UnitPrice, packaged_prices, spot
from gyrus.cluster.aws.templates.node_boot import TAINTS, image_variant
from gyrus.nodes.state import PlannedGroup

log = logging.getLogger(__name__)

EVERY = 300.0
"""Seconds between two looks at the spot prices, which change a few times a day."""
SYSTEM = "Linux/UNIX"
ASSUMED_SHARE = 0.4
"""Share of the on-demand price that a spot instance is assumed to cost before its price is known. Without an
assumption, groups with spot instances would begin on demand."""


@dataclass(slots=True)
class GroupPrices:
    """The groups of one cluster, with prices that it keeps up to date."""

    aws: AwsCaller
    region: str
    groups: Sequence[NodeGroup]
    clock: Clock
    _table: PriceTable = field(init=False)
    _rules: GroupRules = field(init=False)

    def __post_init__(self) -> None:
        self._table = packaged_prices(self.region)
        self._rules = group_rules(self.groups, self._table)
        for group in self.groups:
            if group.name not in {one.name for one in self._rules.groups}:
                log.error("No nodes are planned for the group %s: its instance types are unknown", group.name)

    def rules(self) -> GroupRules:
        """Return the groups with the present prices."""
        return self._rules

    async def run(self) -> None:
        """Read the spot prices again and again, until cancelled."""
        while True:
            try:
                await self.refresh()
            except AwsError as error:
                log.warning("Spot prices cannot be read; the last known ones stay: %s", error)
            await self.clock.sleep(EVERY)

    async def refresh(self) -> None:
        """Read the spot prices. Raises AwsError."""
        types = sorted({name for group in self.groups if group.spot for name in group.instance_types})
        if not types:
            return
        history = await self.aws.pages(
            "ec2",
            "describe_spot_price_history",
            "SpotPriceHistory",
            InstanceTypes=types,
            ProductDescriptions=[SYSTEM],
            StartTime=self.clock.now(),
        )
        self._table = self._table.updated(latest_prices(history))
        self._rules = group_rules(self.groups, self._table)


def latest_prices(history: Iterable[Mapping[str, Any]]) -> dict[str, UnitPrice]:
    """Return the latest spot price of each instance type and zone. ``history``: of EC2."""
    latest: dict[str, tuple[datetime, float]] = {}
    for entry in history:
        key = spot(entry["InstanceType"], entry["AvailabilityZone"])
        found = (entry["Timestamp"], float(entry["SpotPrice"]))
        latest[key] = max(found, latest.get(key, found))
    return {
        key: UnitPrice(price, PriceSource.SPOT_HISTORY, time.date()) for key, (time, price) in latest.items()
    }


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
