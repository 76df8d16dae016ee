"""The node groups with their present prices."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import fmean
from typing import Any

from gyrus.aio.clock import Clock
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.errors import AwsError
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.nodes.observation import GroupRules
from gyrus.cluster.aws.planned_groups import UnknownInstanceType, planned_group
from gyrus.cluster.aws.prices.table import instance, packaged_prices
from gyrus.cluster.aws.templates.node_boot import TAINTS, image_variant
from gyrus.nodes.state import PlannedGroup

log = logging.getLogger(__name__)

EVERY = 300.0
"""Seconds between two looks at the spot prices, which change a few times a day."""
SYSTEM = "Linux/UNIX"


@dataclass(slots=True)
class GroupPrices:
    """The groups of one cluster, with prices that it keeps up to date."""

    aws: AwsCaller
    region: str
    groups: Sequence[NodeGroup]
    clock: Clock
    _planned: tuple[PlannedGroup, ...] = field(init=False)
    _spot: Mapping[str, float] = field(default_factory=dict[str, float])
    """By instance type."""

    def __post_init__(self) -> None:
        self._planned = known_groups(self.groups, self.region)

    def rules(self) -> GroupRules:
        """Return the groups with the present prices."""
        return GroupRules(
            groups=with_spot_prices(self._planned, self._spot), taints=group_taints(self.groups)
        )

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
        self._spot = {**self._spot, **spot_prices(history)}


def spot_prices(history: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the latest prices by instance type: the mean over the zones, since Auto Scaling chooses."""
    latest: dict[tuple[str, str], tuple[datetime, float]] = {}
    for entry in history:
        key = (entry["InstanceType"], entry["AvailabilityZone"])
        found = (entry["Timestamp"], float(entry["SpotPrice"]))
        latest[key] = max(found, latest.get(key, found))
    by_type: defaultdict[str, list[float]] = defaultdict(list)
    for (name, _), (_, price) in latest.items():
        by_type[name].append(price)
    return {name: fmean(prices) for name, prices in by_type.items()}


def with_spot_prices(groups: Iterable[PlannedGroup], prices: Mapping[str, float]) -> tuple[PlannedGroup, ...]:
    return tuple(
        replace(
            group,
            instance_types=tuple(
                replace(one, spot_price=prices.get(one.name, one.spot_price)) for one in group.instance_types
            ),
        )
        for group in groups
    )


def known_groups(groups: Iterable[NodeGroup], region: str) -> tuple[PlannedGroup, ...]:
    """Return the groups whose instance types are known. Others are logged and get no nodes."""
    table = packaged_prices(region)

    def price_of(name: str) -> float | None:
        found = table.get(instance(name))
        return found.usd if found else None

    planned: list[PlannedGroup] = []
    for group in groups:
        try:
            planned.append(planned_group(group, known_types(), price_of))
        except UnknownInstanceType as error:
            log.error("No nodes are planned for the group %s: %s", group.name, error)
    return tuple(planned)


def group_taints(groups: Sequence[NodeGroup]) -> dict[str, tuple[str, ...]]:
    """Return the taints of the groups, as their nodes register with them."""
    variants = {group.name: image_variant(group) for group in groups}
    some_standard = any(variants[group.name] == "standard" for group in groups if group.max_instances)
    return {
        name: (f"{TAINTS[variant]}=true:NoSchedule",)
        for name, variant in variants.items()
        if some_standard and variant in TAINTS
    }
