"""The output of the planner of nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gyrus.nodes.state import NodesMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTarget:
    """The instances that one Auto Scaling group shall have."""

    pool: str
    """``GROUP/spot`` or ``GROUP/on-demand``."""
    was: int
    desired: int
    """Including nodes that leave and have not ended, without those that the plan ends."""
    reasons: tuple[str, ...] = ()
    """In words, for people; empty if nothing changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStep:
    """A node that is to be cordoned, drained or ended, and why."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarredPool:
    """A pool that gets no new nodes for a while, and why."""

    pool: str
    until: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnplacedPod:
    """A pod for which no node can be had at present, and why."""

    pod: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """The changes to a cluster's nodes. Carrying it out twice does the same as once."""

    pools: tuple[PoolTarget, ...] = ()
    cordon: tuple[NodeStep, ...] = ()
    drain: tuple[NodeStep, ...] = ()
    end: tuple[NodeStep, ...] = ()
    """Nodes to terminate together with a decrement of the pool's desired capacity, which
    :attr:`PoolTarget.desired` includes."""
    bar: tuple[BarredPool, ...] = ()
    """Pools that this plan bars; the memory holds those of earlier plans."""
    unplaced: tuple[UnplacedPod, ...] = ()
    memory: NodesMemory = field(default_factory=NodesMemory)
    """For the state of the next plan."""

    def desired(self, pool: str) -> int:
        return next((target.desired for target in self.pools if target.pool == pool), 0)
