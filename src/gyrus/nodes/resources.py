"""Amounts of what pods request and nodes offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResources:
    """An amount that a pod requests, or that a node offers to pods. Whole numbers, so that sums are exact."""

    cpu: int = 0
    """Thousandths of a CPU."""
    memory: int = 0
    """Bytes."""
    gpu: int = 0
    pods: int = 1
    """1 for a pod; the most pods of a node, which EC2's network interfaces limit."""

    def fits(self, free: NodeResources) -> bool:
        """Return whether a node with so much left can take this."""
        return (
            self.cpu <= free.cpu
            and self.memory <= free.memory
            and self.gpu <= free.gpu
            and self.pods <= free.pods
        )

    def minus(self, other: NodeResources) -> NodeResources:
        return NodeResources(
            cpu=self.cpu - other.cpu,
            memory=self.memory - other.memory,
            gpu=self.gpu - other.gpu,
            pods=self.pods - other.pods,
        )

    def share_of(self, whole: NodeResources) -> float:
        """Return the largest of the shares of CPU, memory and GPU: the dominant share.

        >>> NodeResources(cpu=500, memory=GIB).share_of(NodeResources(cpu=4000, memory=4 * GIB))
        0.25
        """
        pairs = ((self.cpu, whole.cpu), (self.memory, whole.memory), (self.gpu, whole.gpu))
        return max((mine / all_of_it for mine, all_of_it in pairs if all_of_it), default=0.0)

    def scaled(self, share: float) -> NodeResources:
        """Return this share of CPU and memory, rounded up, and no GPUs or pods."""
        return NodeResources(cpu=-int(-self.cpu * share // 1), memory=-int(-self.memory * share // 1), pods=0)

    def __str__(self) -> str:
        """Describe the amount for the user.

        >>> str(NodeResources(cpu=1500, memory=2 * GIB, gpu=1))
        '1.5 CPU, 2.0 GiB, 1 GPU'
        """
        text = f"{self.cpu / 1000:g} CPU, {self.memory / GIB:.1f} GiB"
        return f"{text}, {self.gpu} GPU" if self.gpu else text


def least(amounts: Iterable[NodeResources]) -> NodeResources:
    """Return the least of each resource: what any one of several instance types offers for sure."""
    return _of_each(amounts, min)


def greatest(amounts: Iterable[NodeResources]) -> NodeResources:
    """Return the greatest of each resource."""
    return _of_each(amounts, max)


def _of_each(amounts: Iterable[NodeResources], choose: Callable[[Iterable[int]], int]) -> NodeResources:
    every = list(amounts)
    return NodeResources(
        cpu=choose(one.cpu for one in every),
        memory=choose(one.memory for one in every),
        gpu=choose(one.gpu for one in every),
        pods=choose(one.pods for one in every),
    )
