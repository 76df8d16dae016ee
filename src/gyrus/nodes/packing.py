"""First fit decreasing: the largest pods first, each on the first node on which it fits.

First fit decreasing needs at most 11/9 of the fewest possible bins, and 2 more
(Johnson, "Near-optimal bin packing algorithms", 1973), in one dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import CapacityType


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNeed:
    """A pod, present or required, that needs a place."""

    name: str
    requests: NodeResources
    groups: tuple[str, ...] = ()

    def allows(self, group: str) -> bool:
        return not self.groups or group in self.groups


@dataclass(slots=True, kw_only=True)
class NodeBin:
    """A node that can take pods: one that is ready, or one that is to come."""

    name: str
    """The node's name; empty for one that has no name yet."""
    group: str
    pool: str
    whole: NodeResources
    free: NodeResources
    ready: bool
    capacity: CapacityType
    needs: list[PodNeed] = field(default_factory=list[PodNeed])
    """Pods that have been placed here by the present plan."""

    def takes(self, need: PodNeed, margin: float = 0.0) -> bool:
        if not need.allows(self.group):
            return False
        free = self.free.minus(self.whole.scaled(margin)) if margin else self.free
        return need.requests.fits(free)

    def place(self, need: PodNeed) -> None:
        self.free = self.free.minus(need.requests)
        self.needs.append(need)


def decreasing(needs: Iterable[PodNeed], whole: NodeResources) -> list[PodNeed]:
    """Sort by GPUs, then by the share of ``whole``, the largest first; equal ones by name."""
    return sorted(needs, key=lambda need: (-need.requests.gpu, -need.requests.share_of(whole), need.name))


def in_order_of_use(bins: Iterable[NodeBin]) -> list[NodeBin]:
    """Sort the bins in the order in which they are tried.

    Ready nodes come before starting ones, and those before requested ones; nodes without GPUs before
    those with GPUs, and full nodes before emptier ones, so that nodes become empty.
    """
    return sorted(
        bins,
        key=lambda one: (not one.ready, not one.name, one.whole.gpu, -used_share(one), one.pool, one.name),
    )


def pack(needs: Sequence[PodNeed], bins: Sequence[NodeBin]) -> list[PodNeed]:
    """Place each need in the first bin that takes it. Returns the rest."""
    rest: list[PodNeed] = []
    full: set[tuple[NodeResources, tuple[str, ...]]] = set()
    for need in needs:
        shape = (need.requests, need.groups)
        found = None if shape in full else next((one for one in bins if one.takes(need)), None)
        if found is None:
            full.add(shape)  # bins only get fuller: an equal pod fits nowhere either
            rest.append(need)
        else:
            found.place(need)
    return rest


def places(
    needs: Iterable[PodNeed], bins: Iterable[NodeBin], margin: float
) -> list[tuple[PodNeed, NodeBin]] | None:
    """Return where all the needs would fit, without placing them. Returns None if one fits nowhere.

    ``margin`` is the share of each bin that stays free.
    """
    targets = list(bins)
    free = [one.free.minus(one.whole.scaled(margin)) for one in targets]
    found: list[tuple[PodNeed, NodeBin]] = []
    for need in needs:
        for number, one in enumerate(targets):
            if need.allows(one.group) and need.requests.fits(free[number]):
                free[number] = free[number].minus(need.requests)
                found.append((need, one))
                break
        else:
            return None
    return found


def used_share(one: NodeBin) -> float:
    """Return the greatest share of a node's resources that is taken."""
    return one.whole.minus(one.free).share_of(one.whole)
