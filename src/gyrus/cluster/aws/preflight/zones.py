"""The zones of a cluster, and whether they offer its instance types. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import less_than
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.preflight.facts import ObservedAccount, OfferedType, RegionZone
from gyrus.cluster.aws.preflight.problem import PreflightProblem

ZONES = 3
"""The number of zones, if cluster.yaml names none."""
FEWEST_ZONES = 2
NO_CONTROL_PLANE = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""IDs of zones in which EKS places no control plane."""


def chosen_zones(spec: ClusterSpec, facts: ObservedAccount) -> tuple[str, ...]:
    """Return the zones of the cluster: those of cluster.yaml, or the three that offer most of its types.

    Returns () if cluster.yaml names none and the region's zones are not known.
    """
    named = tuple(subnet.availability_zone for subnet in spec.subnets) or spec.availability_zones
    if named or facts.zones is None:
        return tuple(dict.fromkeys(named))
    usable = [zone.name for zone in facts.zones if zone.zone_id not in NO_CONTROL_PLANE]
    best = sorted(usable, key=lambda zone: (-_offered(spec, facts, zone)[0], -_offered(spec, facts, zone)[1]))
    return tuple(sorted(best[:ZONES]))


def group_zones(spec: ClusterSpec, facts: ObservedAccount) -> dict[str, tuple[str, ...]]:
    """Return, by node group, the zones of the cluster that offer its instance_type.

    These are all zones if it is not known where the type is offered.
    """
    zones, types = chosen_zones(spec, facts), facts.types or {}
    return {
        group.name: tuple(
            zone
            for zone in zones
            if group.instance_type not in types or zone in types[group.instance_type].zones
        )
        for group in spec.node_groups
    }


def _offered(spec: ClusterSpec, facts: ObservedAccount, zone: str) -> tuple[int, int]:
    """Return how many groups have their primary type in a zone, and how many types there are in all."""
    types = facts.types or {}
    primary = sum(zone in types[name].zones for name in _primary(spec) if name in types)
    return primary, sum(zone in types[name].zones for name in all_types(spec) if name in types)


def _primary(spec: ClusterSpec) -> Iterable[str]:
    return dict.fromkeys(group.instance_type for group in spec.node_groups)


def all_types(spec: ClusterSpec) -> tuple[str, ...]:
    """Return the instance types of all groups, without repetitions."""
    return tuple(dict.fromkeys(name for group in spec.node_groups for name in group.instance_types))


def zone_problems(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightProblem]:
    """Yield the zones that cannot be used, and the types that the zones do not offer."""
    if facts.zones is not None:
        yield from _unusable_zones(spec, facts.zones)
    if facts.types is not None:
        for number, group in enumerate(spec.node_groups):
            yield from _type_problems(spec, facts, number, group)


def _unusable_zones(spec: ClusterSpec, zones: tuple[RegionZone, ...]) -> Iterator[PreflightProblem]:
    known = {zone.name: zone for zone in zones}
    usable = [zone.name for zone in zones if zone.zone_id not in NO_CONTROL_PLANE]
    if not spec.subnets and not spec.availability_zones and len(usable) < FEWEST_ZONES:
        yield PreflightProblem(
            what=f"zones of {spec.region}",
            have=_listed(usable),
            need="two zones in which EKS places control planes",
            remedy="Choose another region",
        )
    field = "subnets" if spec.subnets else "availability_zones"
    named = tuple(subnet.availability_zone for subnet in spec.subnets) or spec.availability_zones
    for name in dict.fromkeys(named):
        if name not in known:
            have, need = f"no available zone {name} in {spec.region}", "available zones of the account"
        elif name not in usable:
            have = f"{name} ({known[name].zone_id}), in which EKS places no control plane"
            need = "zones that EKS supports"
        else:
            continue
        yield PreflightProblem(what=field, have=have, need=need, remedy=f"Use {_listed(usable)}")


def _type_problems(
    spec: ClusterSpec, facts: ObservedAccount, number: int, group: NodeGroup
) -> Iterator[PreflightProblem]:
    zones = chosen_zones(spec, facts)
    types = facts.types or {}
    for name in group.instance_types:
        what = f"{_field(group, number, name)}: {name}"
        offered = types.get(name)
        if offered is None:
            yield PreflightProblem(
                what=what,
                have=f"no such instance type in {spec.region}",
                need="a type that the region offers",
                remedy="Check the name, choose another type, or another region: "
                f"aws ec2 describe-instance-type-offerings --region {spec.region}",
            )
            continue
        yield from _capability_problems(types.get(group.instance_type), offered, what, group)
        there = [zone for zone in zones if zone in offered.zones]
        # Every type in two zones would be too much: a type that only stands in may be in one.
        fewest = FEWEST_ZONES if name == group.instance_type else 1
        if zones and len(there) < fewest:
            yield PreflightProblem(
                what=what,
                have=f"it in {_listed(there)} of the cluster's zones {', '.join(zones)}",
                need="it in two of them" if fewest > 1 else "it in one of them",
                remedy=_other_zones(spec, facts, name),
            )


def _capability_problems(
    primary: OfferedType | None, offered: OfferedType, what: str, group: NodeGroup
) -> Iterator[PreflightProblem]:
    if offered.kind.architecture == "arm64":
        have = "ARM processors"
        yield PreflightProblem(
            what=what,
            have=have,
            need="amd64, for which images are built",
            remedy="Choose a type with Intel or AMD",
        )
    if group.spot and not offered.is_spot:
        have = "no spot instances of it"
        yield PreflightProblem(
            what=what,
            have=have,
            need="them, as spot is true",
            remedy="Write spot: false, or choose another type",
        )
    if primary and (why := less_than(offered.kind, primary.kind)):
        yield PreflightProblem(
            what=what,
            have=f"less than instance_type has: {why}",
            need="at least as much",
            remedy="Remove it from instance_distribution, or make it the instance_type",
        )


def _other_zones(spec: ClusterSpec, facts: ObservedAccount, name: str) -> str:
    offered = (facts.types or {})[name].zones
    usable = [zone.name for zone in facts.zones or () if zone.zone_id not in NO_CONTROL_PLANE]
    there = [zone for zone in usable if zone in offered]
    if len(there) < FEWEST_ZONES:
        return f"Choose another type: {spec.region} offers it in {_listed(there)}"
    field = "subnets of" if spec.subnets else "availability_zones:"
    return f"Write {field} {', '.join(there)}, which offer it, or choose another type"


def _field(group: NodeGroup, number: int, name: str) -> str:
    place = "instance_type" if name == group.instance_type else "spot_config.instance_distribution"
    return f"node_groups[{number}].{place} ({group.name})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
