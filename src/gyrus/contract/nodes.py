"""The nodes of a cluster, as the operator plans them: the answer to ``GET /v1/nodes``. Times are RFC 3339."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.contract.operator import AmountView


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePoolView:
    """The instances of a node group with one capacity type."""

    group: str
    capacity_type: str
    """``spot`` or ``on-demand``."""
    desired: int
    nodes: int
    barred_until: str | None = None
    """Time until which it gets no new nodes, since it did not deliver. None if it may get some."""
    failure: str = ""
    """The message of its last launch that failed, if that is recent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One instance."""

    name: str
    """Kubernetes' name; empty while the instance is no node."""
    instance: str
    group: str
    capacity_type: str
    instance_type: str
    zone: str
    state: str
    """``starting``, ``ready``, ``cordoned``, ``leaving``, ``draining`` or ``lost``."""
    reason: str
    """The reason why it leaves; empty if it stays."""
    launched_at: str
    replicas: int
    pods: int
    """Pods, replicas included, without those that every node has."""
    requested: AmountView
    """Requests of these pods."""
    allocatable: AmountView
    """The amount that it offers to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChangeView:
    """A change of the nodes that the planner decided, for people to read."""

    time: str
    message: str
    """The change, and the reason for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesView:
    """The nodes of a cluster."""

    scaler: str
    """``gyrus``, ``karpenter`` or ``none``."""
    time: str | None = None
    """Time of the latest plan. None before the first."""
    fault: str = ""
    """The reason why nothing can be planned at present; empty if it can."""
    pools: tuple[NodePoolView, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    unplaced: tuple[str, ...] = ()
    """Pods for which no node can be had, and why."""
    failures: tuple[str, ...] = ()
    """Changes of the latest plan that failed. They are tried again."""
    changes: tuple[NodeChangeView, ...] = ()
    """The latest changes, the newest last."""
    plan_seconds: float = 0.0
    """Duration of the latest plan, without the look at the cluster and its effects."""
    short_seconds: float = 0.0
    """Seconds since the operator started during which a pod waited for capacity that could not be had."""
