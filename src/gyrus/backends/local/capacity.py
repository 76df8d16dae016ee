"""The machine's CPU, memory and GPUs: who holds them, and who waits for them. Pure.

Who waits is served in the order in which the replicas were ordered. A later one passes an earlier one only
where that delays nobody: of everything that it needs, there must be enough for it *and* for all before it. So
one that needs much is not passed for ever by those that need little.

A replica that ends leaves what it held to a waiting one of its own API, where that needs no more of anything:
an update is no new demand. Else what it held goes to the head of the line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gyrus.contract.workload import ComputeResources


class Resource(StrEnum):
    """Named as in ``compute``."""

    CPU = "cpu"
    """Counted in thousandths of a core."""
    MEMORY = "mem"
    """Counted in bytes."""
    GPU = "gpu"


Amount = Mapping[Resource, int]
"""Of every resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is for replicas."""

    cpu: int
    """Thousandths of a core."""
    mem: int
    """Bytes."""
    gpus: tuple[str, ...] = ()
    """Names by which CUDA knows them."""

    @property
    def amount(self) -> Amount:
        return {Resource.CPU: self.cpu, Resource.MEMORY: self.mem, Resource.GPU: len(self.gpus)}


UNKNOWN = Machine(cpu=0, mem=0)
"""Before anybody has looked."""


def needs_of(compute: ComputeResources) -> Amount:
    """What one replica needs; memory that is not limited counts as none.

    >>> needs_of(ComputeResources(cpu=0.29, mem=1_048_576))[Resource.CPU]
    290
    """
    cpu = math.ceil(round(compute.cpu * 1000, 6))
    return {Resource.CPU: cpu, Resource.MEMORY: compute.mem or 0, Resource.GPU: compute.gpu}


def total_of(amounts: Iterable[Amount]) -> Amount:
    found = tuple(amounts)
    return {resource: sum(amount[resource] for amount in found) for resource in Resource}


def less(amount: Amount, taken: Amount) -> Amount:
    """May be below zero."""
    return {resource: amount[resource] - taken[resource] for resource in Resource}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a replica asks for."""

    replica: str
    api: str
    needs: Amount
    at: float = 0.0
    """When the replica was ordered, in seconds since the epoch: its place in the line."""

    @property
    def place(self) -> tuple[float, str]:
        return self.at, self.replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a replica holds."""

    claim: Claim
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why a claim is not met."""

    claim: Claim
    lacking: tuple[Resource, ...]
    """Of what there is too little."""
    free: Amount
    """What nobody holds, but that may be kept for others; below zero where more is held than there is."""
    before: tuple[Claim, ...]
    """Claims that are met before this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocations:
    """Never gives out more than the machine has. What was held before it was kept may exceed that."""

    machine: Machine = UNKNOWN
    overcommit: bool = False
    """Of CPU and memory, everybody gets what they ask for. GPUs are always counted."""
    shares: Mapping[str, Share] = field(default_factory=dict[str, Share])
    """By replica."""
    queue: tuple[Claim, ...] = ()
    """Claims that are not met, in their order."""

    # What is asked of it

    def keep(self, share: Share) -> Allocations:
        """A replica that was found holds this, whether there is room for it or not."""
        return replace(self, shares={**self.shares, share.claim.replica: share})

    def ask(self, claim: Claim) -> Allocations:
        """Idempotent by the replica. The claim is met, or waits in the line."""
        if claim.replica in self.shares or any(other.replica == claim.replica for other in self.queue):
            return self
        queue = tuple(sorted((*self.queue, claim), key=lambda waiting: waiting.place))
        return replace(self, queue=queue)._served()

    def leave(self, replica: str) -> Allocations:
        """A replica needs nothing any more, be it that it holds something or that it waits. Idempotent."""
        queue = tuple(claim for claim in self.queue if claim.replica != replica)
        share = self.shares.get(replica)
        if share is None:
            return self if len(queue) == len(self.queue) else replace(self, queue=queue)._served()
        heir = self._heir(share)
        shares = {name: other for name, other in self.shares.items() if name != replica}
        after = replace(self, shares=shares, queue=queue)
        return (after._given(heir) if heir else after)._served()

    # What it tells

    @property
    def counted(self) -> tuple[Resource, ...]:
        """What must not be given out twice."""
        return (Resource.GPU,) if self.overcommit else tuple(Resource)

    @property
    def held(self) -> Amount:
        return total_of(share.claim.needs for share in self.shares.values())

    @property
    def free(self) -> Amount:
        held = {**self.held, Resource.GPU: len(self.machine.gpus) - len(self._free_gpus())}
        return less(self.machine.amount, held)

    def impossible(self, needs: Amount) -> tuple[Resource, ...]:
        """Of what even the whole machine has too little."""
        there = self.machine.amount
        return tuple(resource for resource in self.counted if needs[resource] > there[resource])

    def room(self, api: str, needs: Amount) -> int | None:
        """The most replicas of this API that fit in all; None: any number.

        In the place of those that it has, and in what nobody holds and no other API waits for.
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
        """Of every claim in the line, and in its order."""
        free = left = self.free
        for place, claim in enumerate(self.queue):
            lacking = self._lacking(claim.needs, left)
            yield Shortage(claim=claim, lacking=lacking, free=free, before=self.queue[:place])
            left = less(left, claim.needs)

    # How it decides

    def _served(self) -> Allocations:
        """Every claim met that can be, without delay for those before it."""
        allocations, left = self, self.free
        for claim in self.queue:
            if not self._lacking(claim.needs, left):
                allocations = allocations._given(claim)
            left = less(left, claim.needs)  # given to it, or kept for it
        return allocations

    def _given(self, claim: Claim) -> Allocations:
        share = Share(claim=claim, gpus=self._free_gpus()[: claim.needs[Resource.GPU]])
        queue = tuple(waiting for waiting in self.queue if waiting.replica != claim.replica)
        return replace(self, shares={**self.shares, claim.replica: share}, queue=queue)

    def _heir(self, share: Share) -> Claim | None:
        """Whoever of its API can take a share over, so that nobody else has less than while it was held."""
        api = share.claim.api
        spare = self._spare(api)
        left = {resource: share.claim.needs[resource] + spare[resource] for resource in Resource}
        left[Resource.GPU] = len(set(share.gpus) & set(self.machine.gpus)) + spare[Resource.GPU]
        own = (claim for claim in self.queue if claim.api == api)
        return next((claim for claim in own if not self._lacking(claim.needs, left)), None)

    def _spare(self, api: str) -> Amount:
        """What nobody holds and nobody but this API waits for; nothing where more is held than there is."""
        promised = total_of(claim.needs for claim in self.queue if claim.api != api)
        return {resource: max(0, free - promised[resource]) for resource, free in self.free.items()}

    def _lacking(self, needs: Amount, left: Amount) -> tuple[Resource, ...]:
        return tuple(r for r in self.counted if needs[r] and needs[r] > left[r])

    def _free_gpus(self) -> tuple[str, ...]:
        held = {name for share in self.shares.values() for name in share.gpus}
        return tuple(name for name in self.machine.gpus if name not in held)
