"""The health of a cluster on AWS, part by part, each with its reason and its remedy. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.eks import EksCluster
from gyrus.cluster.aws.inspection.facts import (
    AddOnState,
    BalancerState,
    ClusterFacts,
    KubernetesFacts,
    QueueState,
    ScalingFacts,
    UnreadPart,
)
from gyrus.cluster.aws.inspection.node_status import READY, NodeStatus, node_statuses
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup
from gyrus.cluster.aws.prices.price_list import STANDARD_SUPPORT_ENDS
from gyrus.cluster.aws.resource_names import (
    base_stack,
    bucket_name,
    group_stack,
    log_group,
    queue_name,
    scaling_group,
)
from gyrus.cluster.aws.stack_state import StackStatus
from gyrus.cluster.aws.templates.control_plane import ON_EACH_NODE, ON_SOME_NODES
from gyrus.cluster.overview import Overview
from gyrus.contract import cluster as names

T = TypeVar("T")
ACTIVE = "ACTIVE"
LONGEST_WAIT = 300.0
"""Seconds after which a message of the queue should have been received."""
CREATE = "Create it with: gyrus cluster up"
CONTINUE = "Run: gyrus cluster up, which continues"
ADD_ON_REMEDY = "See: kubectl get pods --namespace kube-system. Then run gyrus cluster up, which continues"
CONFIGURE = "Bring the cluster to its file: gyrus cluster configure"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCheck:
    """One part of a cluster."""

    part: str
    state: str
    """Its state, or why it is not as it should be."""
    remedy: str = ""
    healthy: bool = True

    def __str__(self) -> str:
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{self.part}: {self.state}{remedy}"


def part_checks(spec: ClusterSpec, facts: ClusterFacts, now: datetime) -> list[PartCheck]:
    """Return the health of all parts, in the order in which they depend on each other."""
    return [*_checks(spec, facts, now)]


def _checks(spec: ClusterSpec, facts: ClusterFacts, now: datetime) -> Iterator[PartCheck]:
    yield from _judged("stacks", facts.stacks, lambda found: _stacks(spec, found))
    yield from _judged("control plane", facts.eks, lambda found: _control_plane(spec, found, now.date()))
    if facts.eks is None and isinstance(facts.stacks, FoundStacks) and not facts.stacks.any:
        return  # nothing was created
    yield from _judged("add-ons", facts.add_ons, _add_ons)
    yield from _judged("node groups", facts.scaling, lambda found: _node_groups(spec, facts, found))
    yield from _judged("Kubernetes", facts.kubernetes, lambda found: _installation(found, now))
    yield from _judged("load balancers", facts.balancers, _balancers)
    if spec.scaler == "gyrus":
        yield from _judged("queue", facts.queue, lambda found: _queue(spec, found))
    bucket = bucket_name(spec, facts.account)
    yield from _judged("bucket", facts.bucket, lambda found: _exists(f"bucket {bucket}", found))
    if spec.cloudwatch:
        name = f"log group {log_group(spec.cluster_name)}"
        yield from _judged("log group", facts.log_group, lambda found: _exists(name, found))


def _judged(
    part: str, found: T | UnreadPart, judge: Callable[[T], Iterator[PartCheck]]
) -> Iterator[PartCheck]:
    """Yield the checks of a part, or why it could not be read."""
    if isinstance(found, UnreadPart):
        yield _wrong(part, f"cannot be read: {found.message}", found.remedy)
    else:
        yield from judge(found)


def _wrong(part: str, state: str, remedy: str) -> PartCheck:
    """Return the check of a part that is not as it should be. The texts lose their full stops."""
    return PartCheck(part=part, state=state.removesuffix("."), remedy=remedy.removesuffix("."), healthy=False)


def _exists(part: str, found: bool) -> Iterator[PartCheck]:
    yield PartCheck(part=part, state="exists") if found else _wrong(part, "does not exist", CONTINUE)


def _stacks(spec: ClusterSpec, found: FoundStacks) -> Iterator[PartCheck]:
    yield _stack(base_stack(spec.cluster_name), found.base, CREATE)
    wanted = [group.name for group in spec.node_groups]
    for name in wanted:
        yield _stack(group_stack(spec.cluster_name, name), found.groups.get(name), CONTINUE)
    for name in sorted(found.groups.keys() - {*wanted}):
        part = f"stack {group_stack(spec.cluster_name, name)}"
        yield PartCheck(
            part=part, state=f"{found.groups[name].status}, and not in cluster.yaml", remedy=CONFIGURE
        )


def _stack(name: str, stack: StackStatus | None, create: str) -> PartCheck:
    part = f"stack {name}"
    if stack is None:
        return _wrong(part, "does not exist", create)
    if stack.succeeded:
        return PartCheck(part=part, state=stack.status)
    reason = f": {stack.reason}" if stack.reason else ""
    if stack.status.endswith("_IN_PROGRESS"):
        return _wrong(part, f"{stack.status}{reason}", "Wait until CloudFormation is done")
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        return _wrong(part, f"{stack.status}: it is as it was before the last change{reason}", CONFIGURE)
    return _wrong(part, f"{stack.status}{reason}", CONTINUE)


def _control_plane(spec: ClusterSpec, cluster: EksCluster | None, today: date) -> Iterator[PartCheck]:
    part = f"control plane {spec.cluster_name}"
    if cluster is None:
        yield _wrong(part, "does not exist", CREATE)
    elif cluster.status == ACTIVE:
        yield PartCheck(part=part, state=f"ACTIVE, {support_of(cluster.version, today)}")
    else:
        wait = "Wait for it" if cluster.status in ("CREATING", "UPDATING") else CONTINUE
        yield _wrong(part, cluster.status, wait)


def support_of(version: str, today: date) -> str:
    """Return a version of Kubernetes with the end of its standard support, in words.

    >>> support_of("1.33", date(2026, 11, 28))
    'Kubernetes 1.33, in extended support since 2026-07-29'
    """
    ends = STANDARD_SUPPORT_ENDS.get(version)
    if ends is None:
        return f"Kubernetes {version}"
    words = "in standard support until" if today < ends else "in extended support since"
    return f"Kubernetes {version}, {words} {ends}"


def _add_ons(found: Mapping[str, AddOnState]) -> Iterator[PartCheck]:
    for name in (*ON_EACH_NODE, *ON_SOME_NODES):
        part, state = f"add-on {name}", found.get(name)
        if state is None:
            yield _wrong(part, "does not exist", CONTINUE)
        elif state.status == ACTIVE and not state.issues:
            yield PartCheck(part=part, state=f"ACTIVE {state.version}".rstrip())
        else:
            issues = f": {'; '.join(state.issues)}" if state.issues else ""
            yield _wrong(part, f"{state.status}{issues}", ADD_ON_REMEDY)


def _node_groups(spec: ClusterSpec, facts: ClusterFacts, found: ScalingFacts) -> Iterator[PartCheck]:
    kubernetes = facts.kubernetes if isinstance(facts.kubernetes, KubernetesFacts) else None
    nodes, known = node_statuses(found, kubernetes), {group.name for group in found.groups}
    for group in found.groups:
        own = [node for node in nodes if (node.group, node.capacity_type) == (group.group, group.capacity)]
        failure = found.failures.get(group.name)
        yield _node_group(group, own, failure.message if failure else "", known=kubernetes is not None)
    for group in spec.node_groups:
        own = {scaling_group(spec.cluster_name, group.name, one) for one in ("on-demand", "spot")}
        if not known & own:
            yield _wrong(f"node group {group.name}", "has no Auto Scaling group", CONTINUE)


def _node_group(group: ObservedGroup, nodes: list[NodeStatus], failure: str, *, known: bool) -> PartCheck:
    part = f"node group {group.pool}"
    ready = sum(node.state == READY for node in nodes)
    outdated = sum(node.outdated for node in nodes)
    counts = (
        f"{ready} of {group.desired} nodes ready" if known else f"{len(nodes)} of {group.desired} nodes run"
    )
    if outdated:
        counts += f", {outdated} outdated"
    if failure:
        return _wrong(
            part,
            f"{counts}; the last launch failed: {failure}",
            "gyrus tries other pools. For a quota, ask AWS for a higher one; for a lack of capacity, add "
            "instance types or zones to cluster.yaml",
        )
    short = (ready if known else len(nodes)) < group.desired
    if short:
        return _wrong(part, counts, f"Wait for it, or see why: {_why(nodes)}")
    return PartCheck(part=part, state=counts, remedy=CONFIGURE if outdated else "")


def _why(nodes: list[NodeStatus]) -> str:
    missing = next((node for node in nodes if node.name and node.state == "not ready"), None)
    if missing is not None:
        return f"kubectl describe node {missing.name}"
    return "gyrus cluster info lists the instances, and the EC2 console has their output"


def _installation(found: KubernetesFacts, now: datetime) -> Iterator[PartCheck]:
    installed = found.installation
    if isinstance(installed, UnreadPart):
        yield _wrong("gyrus", installed.message, installed.remedy)
        return
    yield from _parts(installed, now)


def _parts(installed: Overview, now: datetime) -> Iterator[PartCheck]:
    remedy = f"See: kubectl get pods --namespace {installed.namespace}"
    for part in installed.parts:
        state = str(part).removeprefix(f"{part.name}: ")
        if part.healthy:
            yield PartCheck(part=part.name, state=state)
        else:
            yield _wrong(part.name, state, (part.problem.remedy if part.problem else "") or remedy)
    for problem in installed.problems(now):
        yield _wrong("gyrus", problem.message, problem.remedy)


def _balancers(found: tuple[BalancerState, ...]) -> Iterator[PartCheck]:
    for one in found:
        part = f"load balancer {one.name}"
        if one.state in ("active", ""):
            yield PartCheck(part=part, state=f"{one.state} {one.address}".strip())
        else:
            remedy = "Wait for it" if one.state == "provisioning" else "See its Service: kubectl get services"
            yield _wrong(part, one.state, remedy)


def _queue(spec: ClusterSpec, found: QueueState | None) -> Iterator[PartCheck]:
    part = f"queue {queue_name(spec.cluster_name)}"
    if found is None:
        yield _wrong(part, "does not exist", CONTINUE)
        return
    age = found.oldest_seconds
    oldest = "" if age is None else f", the oldest for {age:,.0f} s"
    state = f"{found.messages:,} messages wait{oldest if found.messages else ''}"
    if found.messages and age is not None and age > LONGEST_WAIT:
        namespace = spec.gyrus.namespace
        log = f"kubectl logs --namespace {namespace} deployment/{names.OPERATOR}"
        yield _wrong(part, state, f"The operator does not receive them. See its log: {log}")
    else:
        yield PartCheck(part=part, state=state)
