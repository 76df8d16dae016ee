"""The hourly price of what runs now, by part. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.inspection.node_status import NodeStatus
from gyrus.cluster.aws.prices.price_list import (
    PriceLine,
    PriceList,
    hourly_prices,
    node_volume_price,
    priced_line,
)
from gyrus.cluster.aws.prices.table import PUBLIC_ADDRESS, PriceTable, instance, packaged_prices
from gyrus.nodes.state import CapacityType

ADDRESSES = "public IPv4 addresses"


def present_prices(
    spec: ClusterSpec,
    zones: Sequence[str],
    nodes: Iterable[NodeStatus],
    table: PriceTable | None = None,
    *,
    today: date,
) -> PriceList:
    """Return the price of a cluster with these nodes. Each line's fewest and most are what runs now.

    ``table``: by default that of the package.
    """
    table, running = table or packaged_prices(spec.region), tuple(nodes)
    shared = hourly_prices(
        spec.model_copy(update={"node_groups": ()}),
        zones,
        table,
        today=today,
        more=(*_instances(running, table), *_volumes(spec, running, table)),
    )
    if spec.subnet_visibility == "private" or not running:
        return shared
    return PriceList(shared.region, tuple(_with_addresses(shared.lines, len(running), table)))


def _instances(nodes: Sequence[NodeStatus], table: PriceTable) -> Iterator[PriceLine]:
    for (group, capacity, kind, zone), number in sorted(Counter(map(_kind, nodes)).items()):
        part = f"{capacity} nodes of {group}: {kind} in {zone}"
        price, note = table.get(instance(kind)), ""
        if capacity == CapacityType.SPOT:
            spot = table.spot_prices(kind, (zone,))
            note = "" if spot else "spot price unknown; this is the price on demand"
            price = spot[0] if spot else price
        yield priced_line(part, number, number, price, note if price else "price unknown")


def _kind(node: NodeStatus) -> tuple[str, str, str, str]:
    return node.group, str(node.capacity_type), node.instance_type, node.zone


def _volumes(spec: ClusterSpec, nodes: Sequence[NodeStatus], table: PriceTable) -> Iterator[PriceLine]:
    numbers = Counter(node.group for node in nodes)
    for group in spec.node_groups:
        kind, size = group.instance_volume_type, group.instance_volume_size
        price = node_volume_price(table, group)
        part = f"volumes of {group.name}: {size} GiB {kind}"
        yield priced_line(part, numbers[group.name], numbers[group.name], price)


def _with_addresses(lines: Sequence[PriceLine], nodes: int, table: PriceTable) -> Iterator[PriceLine]:
    """Yield the lines, with the addresses of nodes in public subnets."""
    known = next((line for line in lines if line.part == ADDRESSES), None)
    yield from (line for line in lines if line is not known)
    if known is None:
        yield priced_line(ADDRESSES, nodes, nodes, table.get(PUBLIC_ADDRESS))
    else:
        yield replace(known, fewest=known.fewest + nodes, most=known.most + nodes)
