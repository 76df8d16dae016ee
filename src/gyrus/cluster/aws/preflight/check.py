"""The problems of an account for a cluster, and what could not be checked. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.preflight.facts import ObservedAccount
from gyrus.cluster.aws.preflight.network import count_needs, network_problems
from gyrus.cluster.aws.preflight.own_resources import (
    certificate_problem,
    name_problems,
    policy_problems,
    region_problem,
    subnet_problems,
)
from gyrus.cluster.aws.preflight.problem import PreflightNote, PreflightProblem
from gyrus.cluster.aws.preflight.quotas import QuotaId, quotas_of, vcpu_quotas
from gyrus.cluster.aws.preflight.vcpus import vcpu_problems
from gyrus.cluster.aws.preflight.zones import zone_problems


def problems(spec: ClusterSpec, facts: ObservedAccount, now: datetime) -> list[PreflightProblem]:
    """Return everything that prevents the cluster or its growth, the errors first."""
    if unusable := region_problem(spec, facts):
        return [unusable]
    return sorted(_all_problems(spec, facts, now), key=lambda problem: not problem.is_error)


def _all_problems(spec: ClusterSpec, facts: ObservedAccount, now: datetime) -> Iterator[PreflightProblem]:
    yield from name_problems(spec, facts)
    yield from zone_problems(spec, facts)
    yield from vcpu_problems(spec, facts)
    yield from network_problems(spec, facts)
    yield from subnet_problems(spec, facts)
    if certificate := certificate_problem(spec, facts, now):
        yield certificate
    yield from policy_problems(spec, facts)


def notes(spec: ClusterSpec, facts: ObservedAccount) -> list[PreflightNote]:
    """Return what could not be checked: calls that were denied, and quotas without a value."""
    if region_problem(spec, facts):
        return []
    return [*facts.unchecked, *_quota_notes(spec, facts), *_family_notes(spec)]


def _quota_notes(spec: ClusterSpec, facts: ObservedAccount) -> Iterator[PreflightNote]:
    reported = {note.what for note in facts.unchecked}
    for quota in _needed_quotas(spec, facts):
        if quota.code not in facts.quotas and quotas_of(quota.service) not in reported:
            why = f"Service Quotas has no value of it in {spec.region}"
            yield PreflightNote(f"{quota.name} (quota {quota.code})", why)


def _family_notes(spec: ClusterSpec) -> Iterator[PreflightNote]:
    for group in spec.node_groups:
        quotas = vcpu_quotas(group.instance_type)
        if quotas is None or (group.spot and quotas.spot is None):
            kind = "vCPU quota" if quotas is None else "quota of spot vCPUs"
            why = "gyrus does not know which one it is"
            yield PreflightNote(f"{kind} of {group.instance_type} ({group.name})", why)


def _needed_quotas(spec: ClusterSpec, facts: ObservedAccount) -> tuple[QuotaId, ...]:
    needed = [need.quota for need in count_needs(spec, facts) if need.count]
    for group in spec.node_groups:
        if quotas := vcpu_quotas(group.instance_type):
            needed += [quotas.on_demand, *([quotas.spot] if group.spot and quotas.spot else [])]
    return tuple(dict.fromkeys(needed))
