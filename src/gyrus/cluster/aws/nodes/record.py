"""The facts that the driver hands on: from one turn to the next, and to the next operator. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure
from gyrus.cluster.aws.nodes.scaling_groups import ObservedGroup
from gyrus.contract.nodes import NodeChangeView
from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.state import LeavingNode, NodeNotice, NodesMemory, NodesState


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPool:
    """An Auto Scaling group that has fewer instances than desired."""

    since: float
    instances: int
    """The fewest instances that it has had since then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesRecord:
    """The driver's memory."""

    plan: NodesMemory = field(default_factory=NodesMemory)
    notices: tuple[NodeNotice, ...] = ()
    """Notices about instances that still exist."""
    waiting: Mapping[str, WaitingPool] = field(default_factory=dict[str, WaitingPool])
    """By pool. A missing one has its instances."""
    failures: Mapping[str, LaunchFailure] = field(default_factory=dict[str, LaunchFailure])
    """By pool: the last launch that failed."""
    startups: Mapping[str, float] = field(default_factory=dict[str, float])
    """By node group: the seconds that its latest node took from its launch until it was ready."""
    changes: tuple[NodeChangeView, ...] = ()
    """The latest changes of nodes, the newest last."""


class UnreadableRecord(ValueError):
    """A stored record that this version cannot use."""


def encoded(record: NodesRecord) -> bytes:
    """Return a record as it is stored."""
    return msgspec.json.encode(record)


def decoded(document: bytes) -> NodesRecord:
    """Return a stored record. Raises UnreadableRecord."""
    try:
        return msgspec.json.decode(document, type=NodesRecord)
    except msgspec.MsgspecError as error:
        raise UnreadableRecord(str(error)) from error


def waiting_pools(
    known: Mapping[str, WaitingPool], groups: Iterable[ObservedGroup], present: Mapping[str, int], now: float
) -> dict[str, WaitingPool]:
    """Return the pools without all their instances. ``present``: the instances of each.

    An instance that comes begins the wait for the next one again.
    """
    waiting: dict[str, WaitingPool] = {}
    for group in groups:
        have = present.get(group.pool, 0)
        if have >= group.desired:
            continue
        before = known.get(group.pool)
        since = before.since if before is not None and have <= before.instances else now
        waiting[group.pool] = WaitingPool(since=since, instances=have)
    return waiting


def after_plan(record: NodesRecord, plan: NodePlan, state: NodesState) -> NodesRecord:
    """Return the record to store before a plan is carried out.

    A node whose end has been ordered goes on to leave until its instance is gone, so that an order that fails
    is given again.
    """
    leaving = dict(plan.memory.leaving)
    for step in plan.end:
        known = state.memory.leaving.get(step.node)
        leaving[step.node] = known or LeavingNode(reason=step.reason, since=state.now, draining=True)
    return replace(record, plan=replace(plan.memory, leaving=leaving))
