"""Quotas of which a cluster needs a number: VPCs, gateways, addresses, groups. Pure.

Each shortage is an error: the stack would fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.preflight import quotas
from gyrus.cluster.aws.preflight.facts import ObservedAccount
from gyrus.cluster.aws.preflight.problem import PreflightProblem
from gyrus.cluster.aws.preflight.quotas import QuotaId
from gyrus.cluster.aws.preflight.zones import ZONES, chosen_zones

API_PORTS = 2
"""Ports of the load balancer of the APIs: HTTP and HTTPS. The operator's has one."""
OTHER_RULES = 10
"""Rules of the cluster's security group for its own traffic and for health checks of load balancers."""


@dataclass(frozen=True, slots=True)
class CountNeed:
    """Resources of a cluster that count against a quota."""

    quota: QuotaId
    count: int
    used: int | None
    """The number of others in use. None if it is not known."""
    place: str = ""


def network_problems(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightProblem]:
    """Yield the quotas of numbers that are too small."""
    for need in count_needs(spec, facts):
        value, used = facts.quotas.get(need.quota.code), need.used or 0
        if not need.count or value is None or need.count + used <= value:
            continue
        yield PreflightProblem(
            what=f"{need.quota.name} (quota {need.quota.code}){f' in {need.place}' if need.place else ''}",
            have=f"{value:g}, of which {used} {'is' if used == 1 else 'are'} in use"
            if used
            else f"{value:g}",
            need=f"{need.count} more" if used else str(need.count),
            remedy=need.quota.remedy(need.count + used, spec.region),
        )


def count_needs(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[CountNeed]:
    """Yield what the cluster needs, with what the region has already."""
    in_use = facts.in_use
    if not spec.subnets:
        yield from _new_network(spec, facts)
    classic = 1 if spec.api_load_balancer_type == "elb" else 0
    groups = sum(2 if group.spot else 1 for group in spec.node_groups)
    ranges = API_PORTS * len(spec.api_load_balancer_cidr_white_list)
    ranges += len(spec.operator_load_balancer_cidr_white_list)
    yield CountNeed(quotas.SECURITY_GROUPS, 1 + classic, in_use.security_groups)
    yield CountNeed(quotas.SECURITY_GROUP_RULES, ranges + OTHER_RULES, 0)
    yield CountNeed(quotas.CLUSTERS, 1, in_use.clusters)
    yield CountNeed(quotas.SCALING_GROUPS, groups, in_use.scaling_groups)


def _new_network(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[CountNeed]:
    in_use, zones = facts.in_use, chosen_zones(spec, facts)
    count = len(zones) or ZONES
    has_private = spec.subnet_visibility == "private" or spec.nat != "none"
    gateways = {"none": 0, "single": 1, "highly_available": count}[spec.nat]
    yield CountNeed(quotas.VPCS, 1, in_use.vpcs)
    yield CountNeed(quotas.INTERNET_GATEWAYS, 1, in_use.internet_gateways)
    yield CountNeed(quotas.SUBNETS, count * (2 if has_private else 1), 0)
    yield CountNeed(quotas.ADDRESSES, gateways, in_use.addresses)
    for zone in zones[:gateways]:
        yield CountNeed(quotas.NAT_GATEWAYS, 1, (in_use.nat_gateways or {}).get(zone, 0), zone)
