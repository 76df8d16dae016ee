"""The hourly price of a cluster, at its fewest and at its most nodes. Pure.

What is billed by use (traffic, load balancers' capacity units, S3, CloudWatch) is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import DEFAULT_IOPS, DEFAULT_THROUGHPUT, NodeGroup, SpotConfig
from gyrus.cluster.aws.prices.table import (
    CLASSIC_LOAD_BALANCER,
    CONTROL_PLANE,
    EXTENDED_CONTROL_PLANE,
    HOURS_A_MONTH,
    NAT_GATEWAY,
    NETWORK_LOAD_BALANCER,
    PUBLIC_ADDRESS,
    PriceSource,
    PriceTable,
    UnitPrice,
    instance,
    iops,
    packaged_prices,
    throughput,
    volume,
)
from gyrus.nodes.capacity_mix import on_demand_share

STANDARD_SUPPORT_ENDS = {
    "1.32": date(2026, 3, 23),
    "1.33": date(2026, 7, 29),
    "1.34": date(2026, 12, 2),
    "1.35": date(2027, 3, 27),
}
"""By version of Kubernetes: the day from which EKS charges for extended support."""
OPERATOR_VOLUME = 10
"""GiB of the operator's volume, of the type gp3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One part of a cluster: how many of it there are, and what one costs. Prices are US dollars per hour."""

    part: str
    fewest: int
    most: int
    lowest: float | None
    """The price of one. None if it is unknown."""
    highest: float | None
    """Differs from ``lowest`` if instance types or zones with other prices may be chosen."""
    source: PriceSource | None = None
    """The least certain source of the line's prices; None if they are unknown."""
    as_of: date | None = None
    note: str = ""

    @property
    def at_minimum(self) -> float:
        return self.fewest * (self.lowest or 0.0)

    @property
    def at_maximum(self) -> float:
        return self.most * (self.highest or 0.0)


@dataclass(frozen=True, slots=True)
class PriceList:
    """The hourly price of a cluster, line by line."""

    region: str
    lines: tuple[PriceLine, ...]

    @property
    def at_minimum(self) -> float:
        return sum(line.at_minimum for line in self.lines)

    @property
    def at_maximum(self) -> float:
        return sum(line.at_maximum for line in self.lines)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The parts whose price is unknown, and which the totals therefore lack."""
        return tuple(line.part for line in self.lines if line.lowest is None)


def hourly_prices(
    spec: ClusterSpec,
    zones: Sequence[str],
    table: PriceTable | None = None,
    *,
    today: date,
    more: Sequence[PriceLine] = (),
) -> PriceList:
    """Return the hourly price of a cluster in these zones.

    ``table``: by default that of the package. ``more``: lines for parts that cluster.yaml does not name.
    """
    table = table or packaged_prices(spec.region)
    places = tuple(zones)
    lines = [
        _control_plane(spec, table, today),
        *more,
        *(line for group in spec.node_groups for line in _group(group, table, places)),
        *_shared(spec, table, len(places)),
    ]
    return PriceList(spec.region, tuple(line for line in lines if line.most))


def priced_line(part: str, fewest: int, most: int, price: UnitPrice | None, note: str = "") -> PriceLine:
    """Return the line of a part that has one price."""
    return PriceLine(
        part=part,
        fewest=fewest,
        most=most,
        lowest=price.usd if price else None,
        highest=price.usd if price else None,
        source=price.source if price else None,
        as_of=price.as_of if price else None,
        note=note,
    )


def volume_price(
    table: PriceTable, kind: str, gib: int, operations: int | None, mib_s: int | None
) -> UnitPrice | None:
    """Return the price of a volume per hour. gp3 includes 3,000 operations a second and 125 MiB/s."""
    size = table.get(volume(kind))
    if size is None:
        return None
    monthly = size.usd * gib
    if kind == "gp3":
        monthly += _usd(table, iops(kind)) * max(0, (operations or 0) - DEFAULT_IOPS)
        monthly += _usd(table, throughput(kind)) * max(0, (mib_s or 0) - DEFAULT_THROUGHPUT)
    elif operations is not None:
        monthly += _usd(table, iops(kind)) * operations
    return UnitPrice(monthly / HOURS_A_MONTH, size.source, size.as_of)


def node_volume_price(table: PriceTable, group: NodeGroup) -> UnitPrice | None:
    """Return the price of a node's volume per hour."""
    kind, size = group.instance_volume_type, group.instance_volume_size
    return volume_price(table, kind, size, group.iops, group.throughput)


def shared_costs(
    spec: ClusterSpec, zones: Sequence[str], table: PriceTable | None = None, *, today: date
) -> dict[str, float]:
    """Return the prices of the parts of a cluster besides its nodes: US dollars per hour, by part."""
    without_nodes = spec.model_copy(update={"node_groups": ()})
    lines = hourly_prices(without_nodes, zones, table, today=today).lines
    return {line.part: round(line.at_minimum, 9) for line in lines if line.lowest is not None}


def _usd(table: PriceTable, key: str) -> float:
    price = table.get(key)
    return price.usd if price else 0.0


def _control_plane(spec: ClusterSpec, table: PriceTable, today: date) -> PriceLine:
    ends = STANDARD_SUPPORT_ENDS.get(spec.kubernetes_version)
    if ends is None or today < ends:
        return priced_line("EKS control plane", 1, 1, table.get(CONTROL_PLANE))
    note = f"Kubernetes {spec.kubernetes_version} is in extended support since {ends}"
    return priced_line("EKS control plane", 1, 1, table.get(EXTENDED_CONTROL_PLANE), note)


def _group(group: NodeGroup, table: PriceTable, zones: tuple[str, ...]) -> Iterator[PriceLine]:
    fewest, most = (_on_demand(group, total) for total in (group.min_instances, group.max_instances))
    types = group.instance_types
    shown = ", ".join(types)
    yield _range(
        f"nodes of {group.name}: {shown}",
        (fewest, most),
        [table.get(instance(name)) for name in types],
    )
    yield _spot(group, table, zones, (group.min_instances - fewest, group.max_instances - most))
    price = node_volume_price(table, group)
    part = f"volumes of {group.name}: {group.instance_volume_size} GiB {group.instance_volume_type}"
    yield priced_line(part, group.min_instances, group.max_instances, price)


def _on_demand(group: NodeGroup, total: int) -> int:
    if not group.spot:
        return total
    config = group.spot_config or SpotConfig()
    return on_demand_share(
        total, config.on_demand_base_capacity, config.on_demand_percentage_above_base_capacity
    )


def _spot(group: NodeGroup, table: PriceTable, zones: tuple[str, ...], numbers: tuple[int, int]) -> PriceLine:
    part = f"spot nodes of {group.name}: {', '.join(group.instance_types)}"
    found = [table.spot_prices(name, zones) for name in group.instance_types]
    if all(found):
        return _range(part, numbers, [price for each in found for price in each])
    prices = [table.get(instance(name)) for name in group.instance_types]
    return _range(part, numbers, prices, note="spot price unknown; this is the price on demand")


def _range(
    part: str, numbers: tuple[int, int], prices: Sequence[UnitPrice | None], note: str = ""
) -> PriceLine:
    """Return the line of nodes, each of which may have any of the prices."""
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return priced_line(part, *numbers, None, "price unknown")
    least = min(known, key=lambda price: (price.source is not PriceSource.OTHER_REGION, price.as_of))
    return PriceLine(
        part=part,
        fewest=numbers[0],
        most=numbers[1],
        lowest=min(price.usd for price in known),
        highest=max(price.usd for price in known),
        source=least.source,
        as_of=least.as_of,
        note=note,
    )


def _shared(spec: ClusterSpec, table: PriceTable, zones: int) -> Iterator[PriceLine]:
    gateways = {"none": 0, "single": 1, "highly_available": zones}[spec.nat]
    yield priced_line("NAT gateways", gateways, gateways, table.get(NAT_GATEWAY))
    classic = spec.api_load_balancer_type == "elb"
    kind, name = (CLASSIC_LOAD_BALANCER, "classic") if classic else (NETWORK_LOAD_BALANCER, "network")
    yield priced_line(f"load balancer of the APIs ({name})", 1, 1, table.get(kind))
    yield priced_line("load balancer of the operator (network)", 1, 1, table.get(NETWORK_LOAD_BALANCER))
    if not spec.two_operators:
        price = volume_price(table, "gp3", OPERATOR_VOLUME, None, None)
        yield priced_line(f"operator's volume: {OPERATOR_VOLUME} GiB gp3", 1, 1, price)
    public = spec.subnet_visibility == "public"
    schemes = (spec.api_load_balancer_scheme, spec.operator_load_balancer_scheme)
    fixed = gateways + zones * sum(scheme == "internet-facing" for scheme in schemes)
    fewest = sum(group.min_instances for group in spec.node_groups) if public else 0
    most = sum(group.max_instances for group in spec.node_groups) if public else 0
    yield priced_line("public IPv4 addresses", fixed + fewest, fixed + most, table.get(PUBLIC_ADDRESS))
