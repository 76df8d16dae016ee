"""vCPUs that a cluster needs, by quota: on demand and spot, for the fewest and the most instances. Pure.

A shortage for the first nodes is an error: the cluster would wait for nodes that cannot start. A shortage
for ``max_instances`` is a warning. Missing spot vCPUs are a warning too, but on-demand instances take the
place of spot ones, and their quota must have the vCPUs then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.first_nodes import first_sizes
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.node_group import NodeGroup, SpotConfig
from gyrus.cluster.aws.preflight.facts import ObservedAccount
from gyrus.cluster.aws.preflight.problem import PreflightProblem
from gyrus.cluster.aws.preflight.quotas import QuotaId, vcpu_quotas
from gyrus.cluster.aws.resource_names import scaling_group
from gyrus.cluster.aws.templates.group_stack import ON_DEMAND, SPOT
from gyrus.nodes.capacity_mix import on_demand_share


@dataclass(slots=True)
class _Need:
    """vCPUs that count against one quota."""

    quota: QuotaId
    least: int = 0
    """For the first nodes."""
    most: int = 0
    """For max_instances."""
    groups: list[str] = field(default_factory=list[str])

    def add(self, group: str, least: int, most: int) -> None:
        self.least += least
        self.most += most
        self.groups.append(group)


def vcpu_problems(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightProblem]:
    """Yield the quotas of vCPUs that are too small."""
    on_demand: dict[str, _Need] = {}
    spot: dict[str, _Need] = {}
    instead: dict[str, str] = {}
    """By code of a spot quota: the one of the on-demand instances that take their place."""
    first = first_sizes(spec)
    for group in spec.node_groups:
        quotas, vcpu = vcpu_quotas(group.instance_type), vcpus_of(group.instance_type, facts)
        if quotas is None or vcpu is None:
            continue
        on_demand_first, spot_first = (
            first.get(scaling_group(spec.cluster_name, group.name, capacity), 0)
            for capacity in (ON_DEMAND, SPOT)
        )
        need = on_demand.setdefault(quotas.on_demand.code, _Need(quotas.on_demand))
        need.add(group.name, on_demand_first * vcpu, group.max_instances * vcpu)
        if quotas.spot and (most := most_spot(group)):
            need = spot.setdefault(quotas.spot.code, _Need(quotas.spot))
            instead[quotas.spot.code] = quotas.on_demand.code
            need.add(group.name, spot_first * vcpu, most * vcpu)
    for code, need in spot.items():
        free = facts.quotas.get(code, math.inf) - _used(facts, code)
        on_demand[instead[code]].least += math.ceil(max(0, need.least - max(0, free)))
    yield from (found for need in on_demand.values() if (found := _shortage(spec, facts, need)))
    for need in spot.values():
        if found := _shortage(spec, facts, need, is_spot=True):
            yield found


def vcpus_of(name: str, facts: ObservedAccount) -> int | None:
    """Return the vCPUs of a type: as EC2 states them, or from the table. Returns None if neither has it."""
    if facts.types and name in facts.types:
        return facts.types[name].kind.vcpu
    return known_types()[name].vcpu if name in known_types() else None


def most_spot(group: NodeGroup) -> int:
    """Return how many spot instances a group may have."""
    if not group.spot:
        return 0
    config = group.spot_config or SpotConfig()
    share = config.on_demand_percentage_above_base_capacity
    return group.max_instances - on_demand_share(group.max_instances, config.on_demand_base_capacity, share)


def _shortage(
    spec: ClusterSpec, facts: ObservedAccount, need: _Need, *, is_spot: bool = False
) -> PreflightProblem | None:
    quota, used = need.quota, _used(facts, need.quota.code)
    value = facts.quotas.get(quota.code)
    if value is None or max(need.least, need.most) + used <= value:
        return None
    desired = max(need.least, need.most) + used
    most = f"{need.most} for max_instances of {', '.join(need.groups)}"
    least = f"{need.least} to begin with and " if need.least + used > value else ""
    return PreflightProblem(
        what=f"{quota.name} (quota {quota.code})",
        have=_have(value, facts.in_use.vcpus, used),
        need=f"{least}{most}",
        remedy=quota.remedy(desired, spec.region),
        severity="error" if least and not is_spot else "warning",
    )


def _have(value: float, known: Mapping[str, int] | None, used: int) -> str:
    shown = f"{value:g} vCPUs"
    if known is None:
        return f"{shown}, of which an unknown number is in use"
    return f"{shown}, of which {used} are in use" if used else shown


def _used(facts: ObservedAccount, code: str) -> int:
    return (facts.in_use.vcpus or {}).get(code, 0)
