"""The state of a cluster as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.eks import EksCluster
from gyrus.cluster.aws.inspection.facts import ClusterFacts, KubernetesFacts, ScalingFacts, UnreadPart
from gyrus.cluster.aws.inspection.node_status import NodeStatus, node_statuses
from gyrus.cluster.aws.inspection.present_prices import present_prices
from gyrus.cluster.aws.prices.price_list import STANDARD_SUPPORT_ENDS, PriceLine, PriceList, hourly_prices
from gyrus.cluster.aws.prices.table import PriceTable
from gyrus.cluster.aws.resource_names import bucket_name, log_group
from gyrus.cluster.overview import Overview
from gyrus.nodes.resources import NodeResources

T = TypeVar("T")
UNREADABLE = (
    "stacks",
    "eks",
    "add_ons",
    "scaling",
    "balancers",
    "queue",
    "bucket",
    "log_group",
    "kubernetes",
)


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """The content of ``gyrus cluster info``."""

    spec: ClusterSpec
    facts: ClusterFacts
    nodes: tuple[NodeStatus, ...]
    prices: PriceList
    """At the fewest and at the most nodes of cluster.yaml."""
    now_prices: PriceList | None
    """The price of what runs. None if there is no control plane."""

    @property
    def installation(self) -> Overview | None:
        kubernetes = self.facts.kubernetes
        found = kubernetes.installation if isinstance(kubernetes, KubernetesFacts) else None
        return found if isinstance(found, Overview) else None

    @property
    def unread(self) -> dict[str, UnreadPart]:
        """The parts that could not be read."""
        parts = {name: getattr(self.facts, name) for name in UNREADABLE}
        kubernetes = self.facts.kubernetes
        if isinstance(kubernetes, KubernetesFacts):
            parts["installation"] = kubernetes.installation
        return {name: found for name, found in parts.items() if isinstance(found, UnreadPart)}


def cluster_report(
    spec: ClusterSpec, facts: ClusterFacts, now: datetime, table: PriceTable | None = None
) -> ClusterReport:
    """Return the report on a cluster. ``table``: the unit prices, by default those of the package."""
    kubernetes = facts.kubernetes if isinstance(facts.kubernetes, KubernetesFacts) else None
    nodes = node_statuses(facts.scaling, kubernetes) if isinstance(facts.scaling, ScalingFacts) else ()
    zones, today = _zones(spec, facts), now.date()
    exists = isinstance(facts.eks, EksCluster)
    return ClusterReport(
        spec=spec,
        facts=facts,
        nodes=nodes,
        prices=hourly_prices(spec, zones, table, today=today),
        now_prices=present_prices(spec, zones, nodes, table, today=today) if exists else None,
    )


def _zones(spec: ClusterSpec, facts: ClusterFacts) -> tuple[str, ...]:
    """Return the zones of the base stack, else those of cluster.yaml."""
    base = facts.stacks.base if isinstance(facts.stacks, FoundStacks) else None
    if base is not None and base.outputs.get("Zones"):
        return tuple(base.outputs["Zones"].split(","))
    return spec.availability_zones or tuple(subnet.availability_zone for subnet in spec.subnets)


def report_data(report: ClusterReport) -> dict[str, Any]:
    """Return a report as ``-o json`` prints it. A part that could not be read is null, and in ``unread``."""
    spec, facts, installed = report.spec, report.facts, report.installation
    eks = facts.eks if isinstance(facts.eks, EksCluster) else None
    return {
        "cluster_name": spec.cluster_name,
        "region": spec.region,
        "account": facts.account,
        "kubernetes": None if eks is None else _control_plane(eks),
        "endpoints": {
            "operator": installed.operator.url("https")
            if installed and not installed.operator.missing
            else None,
            "gateway": installed.gateway.endpoints if installed and not installed.gateway.missing else None,
        },
        "stacks": _stacks(facts.stacks),
        "add_ons": _read(facts.add_ons, lambda found: {name: asdict(state) for name, state in found.items()}),
        "node_groups": _read(facts.scaling, lambda found: _groups(found, report.nodes)),
        "nodes": _read(facts.scaling, lambda _: [_node(node) for node in report.nodes]),
        "load_balancers": _read(facts.balancers, lambda found: [asdict(one) for one in found]),
        "queue": _read(facts.queue, lambda found: None if found is None else asdict(found)),
        "bucket": bucket_name(spec, facts.account) if facts.bucket is True else None,
        "log_group": log_group(spec.cluster_name) if facts.log_group is True else None,
        "usd_per_hour": {
            "now": report.now_prices.at_minimum if report.now_prices else None,
            "minimum": report.prices.at_minimum,
            "maximum": report.prices.at_maximum,
        },
        "prices": {
            "now": [_now_price(line) for line in report.now_prices.lines] if report.now_prices else None,
            "file": [_file_price(line) for line in report.prices.lines],
        },
        "unread": {name: asdict(part) for name, part in report.unread.items()},
    }


def _read(found: T | UnreadPart, shown: Callable[[T], Any]) -> Any:
    return None if isinstance(found, UnreadPart) else shown(found)


def _control_plane(cluster: EksCluster) -> dict[str, Any]:
    ends = STANDARD_SUPPORT_ENDS.get(cluster.version)
    return {
        "version": cluster.version,
        "status": cluster.status,
        "endpoint": cluster.endpoint,
        "standard_support_ends": None if ends is None else str(ends),
    }


def _stacks(found: FoundStacks | UnreadPart) -> list[dict[str, str]] | None:
    if isinstance(found, UnreadPart):
        return None
    stacks = (*((found.base,) if found.base else ()), *(found.groups[name] for name in sorted(found.groups)))
    return [{"name": one.name, "status": one.status, "reason": one.reason} for one in stacks]


def _groups(found: ScalingFacts, nodes: Sequence[NodeStatus]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for group in found.groups:
        own = [node for node in nodes if (node.group, node.capacity_type) == (group.group, group.capacity)]
        failure = found.failures.get(group.name)
        rows.append(
            {
                "name": group.name,
                "group": group.group,
                "capacity_type": str(group.capacity),
                "desired": group.desired,
                "maximum": group.largest,
                "instances": len(own),
                "ready": sum(node.state == "ready" for node in own),
                "outdated": sum(node.outdated for node in own),
                "failure": failure.message if failure else "",
            }
        )
    return rows


def _node(node: NodeStatus) -> dict[str, Any]:
    return asdict(node) | {
        "capacity_type": str(node.capacity_type),
        "requested": _amounts(node.requested),
        "allocatable": None if node.allocatable is None else _amounts(node.allocatable),
    }


def _amounts(amount: NodeResources) -> Mapping[str, float]:
    """Return CPUs, bytes and GPUs."""
    return {"cpu": amount.cpu / 1000, "mem": amount.memory, "gpu": amount.gpu}


def _now_price(line: PriceLine) -> dict[str, Any]:
    return {"part": line.part, "number": line.fewest, "usd": line.at_minimum, "note": line.note}


def _file_price(line: PriceLine) -> dict[str, Any]:
    return {
        "part": line.part,
        "fewest": line.fewest,
        "most": line.most,
        "minimum": line.at_minimum,
        "maximum": line.at_maximum,
        "note": line.note,
    }
