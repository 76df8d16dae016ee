"""What people are told of the machine: what it has, who waits for what, and what can never be. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gyrus.backends.local.capacity import Allocations, Amount, Resource, Share, Shortage, total_of
from gyrus.contract.operator import AmountView, CapacityView
from gyrus.spec.quantities import tell_cores, tell_memory

NAMED = 3
"""APIs that are named one by one."""

NAMES = {Resource.CPU: "CPU", Resource.MEMORY: "memory", Resource.GPU: "GPUs"}


def waiting(shortage: Shortage, allocations: Allocations) -> str:
    """``waiting for capacity: needs 500m CPU, 200m of 2 free (8 replicas of iris, 1 of flat hold 1.8)``"""
    lacks = (_lack(resource, shortage, allocations) for resource in shortage.lacking)
    return f"waiting for capacity: {'; '.join(lacks)}"


def impossible(resource: Resource, needs: Amount, allocations: Allocations) -> str:
    """Why no machine like this one can ever meet such a claim."""
    there = allocations.machine.amount[resource]
    if resource is Resource.GPU:
        has = f"this machine has {there}" if there else "this machine has none"
        return f"compute.gpu is {needs[resource]}, and {has}; ask for fewer, or deploy where there are enough"
    unit = " cores" if resource is Resource.CPU else ""
    return (
        f"compute.{resource} is {tell(resource, needs[resource])}, and this machine has "
        f"{tell(resource, there)}{unit}; ask for less, or do not count CPU and memory: gyrus up --overcommit"
    )


def capacity_view(allocations: Allocations) -> CapacityView:
    return CapacityView(
        total=_view(allocations.machine.amount),
        held=_view(allocations.held),
        waiting=_view(total_of(claim.needs for claim in allocations.queue)),
        replicas=len(allocations.shares),
        replicas_waiting=len(allocations.queue),
        overcommit=allocations.overcommit,
    )


def _view(amount: Amount) -> AmountView:
    cpu = amount[Resource.CPU] / 1000
    return AmountView(cpu=cpu, mem=amount[Resource.MEMORY], gpu=amount[Resource.GPU])


def tell(resource: Resource, amount: int) -> str:
    match resource:
        case Resource.CPU:
            return tell_cores(amount)
        case Resource.MEMORY:
            return tell_memory(amount)
        case Resource.GPU:
            return str(amount)


def _lack(resource: Resource, shortage: Shortage, allocations: Allocations) -> str:
    needs, free = shortage.claim.needs[resource], max(0, shortage.free[resource])
    name = "GPU" if resource is Resource.GPU and needs == 1 else NAMES[resource]
    there = f"{tell(resource, free)} of {tell(resource, allocations.machine.amount[resource])} free"
    kept = f", kept for {_first(resource, shortage)}" if free >= needs else ""
    held = _holders(resource, allocations.shares.values())
    return f"needs {tell(resource, needs)} {name}, {there}{kept}" + (f" ({held})" if held else "")


def _first(resource: Resource, shortage: Shortage) -> str:
    """Those for whom what is free is kept."""
    apis = [claim.api for claim in shortage.before if claim.needs[resource]]
    names = [*dict.fromkeys(apis)]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more} that waited before"


def _holders(resource: Resource, shares: Iterable[Share]) -> str:
    """``8 replicas of iris, 1 of flat hold 1.8``"""
    replicas, amounts = Counter[str](), Counter[str]()
    for claim in (share.claim for share in shares if share.claim.needs[resource]):
        replicas[claim.api] += 1
        amounts[claim.api] += claim.needs[resource]
    if not replicas:
        return ""
    apis = sorted(amounts, key=lambda api: (-amounts[api], api))
    counts = [(replicas[api], api) for api in apis[:NAMED]]
    if rest := apis[NAMED:]:
        others = f"{len(rest)} other APIs" if len(rest) > 1 else rest[0]
        counts.append((sum(replicas[api] for api in rest), others))
    (number, api), *others = counts
    first = f"{number} {'replica' if number == 1 else 'replicas'} of {api}"
    told = ", ".join([first, *(f"{count} of {name}" for count, name in others)])
    holds = "holds" if replicas.total() == 1 else "hold"
    return f"{told} {holds} {tell(resource, amounts.total())}"
