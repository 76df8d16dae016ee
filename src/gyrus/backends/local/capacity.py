"""The machine's CPU, memory and GPUs: the replicas that hold them, and the replicas that wait for them. Pure.

Waiting replicas get capacity in the order of their orders. A later replica passes an earlier one only if that
delays no other: there must be enough of everything that it needs for it *and* for all before it. Therefore
small replicas cannot pass a large one for ever.

A replica that ends passes its share to a waiting replica of its own API that needs no more of anything,
because an update is no new demand. Otherwise its share goes to the head of the queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gyrus.contract.workload import ComputeResources


class Resource(StrEnum):
    """The resources of a machine, named as in ``compute``."""

    CPU = "cpu"
    """CPU in thousandths of a core."""
    MEMORY = "mem"
    """Memory in bytes."""
    GPU = "gpu"


Amount = Mapping[Resource, int]
"""An amount of every resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The resources of the machine that replicas may use."""

    cpu: int
    """Thousandths of a core."""
    mem: int
    """Bytes."""
    gpus: tuple[str, ...] = ()
    """Names of the GPUs in CUDA."""

    @property
    def amount(self) -> Amount:
        return {Resource.CPU: self.cpu, Resource.MEMORY: self.mem, Resource.GPU: len(self.gpus)}


UNKNOWN = Machine(cpu=0, mem=0)
"""The machine before its resources were read."""


def needs_of(compute: ComputeResources) -> Amount:
    """Return the needs of one replica. Memory without a limit counts as none.

    >>> needs_of(ComputeResources(cpu=0.29, mem=1_048_576))[Resource.CPU]
    290
    """
    cpu = math.ceil(round(compute.cpu * 1000, 6))
    return {Resource.CPU: cpu, Resource.MEMORY: compute.mem or 0, Resource.GPU: compute.gpu}


def total_of(amounts: Iterable[Amount]) -> Amount:
    found = tuple(amounts)
    return {resource: sum(amount[resource] for amount in found) for resource in Resource}


def less(amount: Amount, taken: Amount) -> Amount:
    """Return the difference, which may be below zero."""
    return {resource: amount[resource] - taken[resource] for resource in Resource}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim of a replica."""

    replica: str
    api: str
    needs: Amount
    at: float = 0.0
    """Seconds since the epoch at the replica's order, which decide its place in the queue."""

    @property
    def place(self) -> tuple[float, str]:
        return self.at, self.replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of a replica, which it holds."""

    claim: Claim
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """The reason why a claim is not met."""

    claim: Claim
    lacking: tuple[Resource, ...]
    """Resources of which there is not enough."""
    free: Amount
    """The amount that no replica holds; some may be kept for others. Below zero if too much is held."""
    before: tuple[Claim, ...]
    """Claims ahead of this one in the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocations:
    """Shares and claims. Never allocates more than the machine has, but adopted shares may exceed that."""

    machine: Machine = UNKNOWN
    overcommit: bool = False
    """True if CPU and memory are not counted. GPUs are always counted."""
    shares: Mapping[str, Share] = field(default_factory=dict[str, Share])
    """Shares by replica."""
    queue: tuple[Claim, ...] = ()
    """Claims that are not met, in the order of the orders."""

    # Changes

    def keep(self, share: Share) -> Allocations:
        """Add the share of an adopted replica, even if there is no capacity for it."""
        return replace(self, shares={**self.shares, share.claim.replica: share})

    def ask(self, claim: Claim) -> Allocations:
        """Meet the claim, or add it to the queue. Idempotent by replica."""
        if claim.replica in self.shares or any(other.replica == claim.replica for other in self.queue):
            return self
        queue = tuple(sorted((*self.queue, claim), key=lambda waiting: waiting.place))
        return replace(self, queue=queue)._served()

    def leave(self, replica: str) -> Allocations:
        """Remove a replica, whether it holds a share or waits for one. Idempotent."""
        queue = tuple(claim for claim in self.queue if claim.replica != replica)
        share = self.shares.get(replica)
        if share is None:
            return self if len(queue) == len(self.queue) else replace(self, queue=queue)._served()
        successor = self._successor(share)
        shares = {name: other for name, other in self.shares.items() if name != replica}
        after = replace(self, shares=shares, queue=queue)
        return (after._given(successor) if successor else after)._served()

    # Questions

    @property
    def counted(self) -> tuple[Resource, ...]:
        """Resources that must not be allocated twice."""
        return (Resource.GPU,) if self.overcommit else tuple(Resource)

    @property
    def held(self) -> Amount:
        return total_of(share.claim.needs for share in self.shares.values())

    @property
    def free(self) -> Amount:
        held = {**self.held, Resource.GPU: len(self.machine.gpus) - len(self._free_gpus())}
        return less(self.machine.amount, held)

    def impossible(self, needs: Amount) -> tuple[Resource, ...]:
        """Return the resources of which the whole machine has less than these needs."""
        there = self.machine.amount
        return tuple(resource for resource in self.counted if needs[resource] > there[resource])

    def capacity_for(self, api: str, needs: Amount) -> int | None:
        """Return how many replicas of this API fit in total. Returns None if there is no limit.

        They may use what its present replicas hold, and what is free and not claimed by other APIs.
        """
        own = total_of(share.claim.needs for share in self.shares.values() if share.claim.api == api)
        spare = self._spare(api)
        fitting = (
            (own[resource] + spare[resource]) // needs[resource]
            for resource in self.counted
            if needs[resource]
        )
        return min(fitting, default=None)

    def shortages(self) -> Iterator[Shortage]:
        """Yield the shortage of every claim in the queue, in its order."""
        free = left = self.free
        for place, claim in enumerate(self.queue):
            lacking = self._lacking(claim.needs, left)
            yield Shortage(claim=claim, lacking=lacking, free=free, before=self.queue[:place])
            left = less(left, claim.needs)

    def shortage_of(self, claim: Claim) -> Shortage | None:
        """Return why a claim would wait if it were made now. Returns None if it would be met."""
        left = less(self.free, total_of(waiting.needs for waiting in self.queue))
        lacking = self._lacking(claim.needs, left)
        return Shortage(claim=claim, lacking=lacking, free=self.free, before=self.queue) if lacking else None

    # Decisions

    def _served(self) -> Allocations:
        """Meet every claim that can be met without a delay for those before it."""
        allocations, left = self, self.free
        for claim in self.queue:
            if not self._lacking(claim.needs, left):
                allocations = allocations._given(claim)
            left = less(left, claim.needs)  # allocated to it, or kept for it
        return allocations

    def _given(self, claim: Claim) -> Allocations:
        share = Share(claim=claim, gpus=self._free_gpus()[: claim.needs[Resource.GPU]])
        queue = tuple(waiting for waiting in self.queue if waiting.replica != claim.replica)
        return replace(self, shares={**self.shares, claim.replica: share}, queue=queue)

    def _successor(self, share: Share) -> Claim | None:
        """Return the claim of the same API that can take over a share, so that no other replica has less."""
        api = share.claim.api
        spare = self._spare(api)
        left = {resource: share.claim.needs[resource] + spare[resource] for resource in Resource}
        # A GPU that the machine no longer has cannot be passed on.
        left[Resource.GPU] = len(set(share.gpus) & set(self.machine.gpus)) + spare[Resource.GPU]
        own = (claim for claim in self.queue if claim.api == api)
        return next((claim for claim in own if not self._lacking(claim.needs, left)), None)

    def _spare(self, api: str) -> Amount:
        """Return what is free and not claimed by other APIs; zero where more is held than exists."""
        promised = total_of(claim.needs for claim in self.queue if claim.api != api)
        return {resource: max(0, free - promised[resource]) for resource, free in self.free.items()}

    def _lacking(self, needs: Amount, left: Amount) -> tuple[Resource, ...]:
        return tuple(r for r in self.counted if needs[r] and needs[r] > left[r])

    def _free_gpus(self) -> tuple[str, ...]:
        held = {name for share in self.shares.values() for name in share.gpus}
        return tuple(name for name in self.machine.gpus if name not in held)
