"""Messages about the machine: its capacity, why replicas wait, and claims that it can never meet. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gyrus.backends.local.capacity import Allocations, Amount, Claim, Resource, Share, Shortage, total_of
from gyrus.backends.protocol import HeldAmount, RunningMachine
from gyrus.contract.operator import AmountView, CapacityView
from gyrus.spec.quantities import display_cores, display_memory

NAMED = 3
"""The most APIs to name one by one."""

GPU_REMEDY = "delete or scale down other APIs, or request less in compute"
REMEDY = (
    "delete or scale down other APIs, request less in compute, or use gyrus up --overcommit, "
    "which does not count CPU and memory"
)

NAMES = {Resource.CPU: "CPU", Resource.MEMORY: "memory", Resource.GPU: "GPUs"}


def waiting(shortage: Shortage, allocations: Allocations) -> str:
    """Return why a replica waits, with the holders of what it needs.

    ``waiting for capacity: needs 500m CPU, 200m of 2 free (8 replicas of iris, 1 of flat hold 1.8)``
    """
    return f"waiting for capacity: {_lacks(shortage, allocations)}"


def shortage_message(allocations: Allocations, api: str, needs: Amount) -> str:
    """Return why one more replica would wait, or could never run, and the remedy. Returns "" if it fits.

    ``there is no capacity: needs 1 CPU, 200m of 2 free (3 replicas of iris hold 1.8); delete or …``
    """
    if beyond := allocations.impossible(needs):
        return impossible(beyond[0], needs, allocations)
    shortage = allocations.shortage_of(Claim(replica="", api=api, needs=needs))
    if shortage is None:
        return ""
    remedy = GPU_REMEDY if Resource.GPU in shortage.lacking else REMEDY
    return f"there is no capacity: {_lacks(shortage, allocations)}; {remedy}"


def impossible(resource: Resource, needs: Amount, allocations: Allocations) -> str:
    """Return why this machine can never meet such a claim."""
    there = allocations.machine.amount[resource]
    if resource is Resource.GPU:
        has = f"this machine has {there}" if there else "this machine has none"
        return f"compute.gpu is {needs[resource]}, and {has}; request fewer, or deploy to a machine with more"
    unit = " cores" if resource is Resource.CPU else ""
    return (
        f"compute.{resource} is {format_amount(resource, needs[resource])}, and this machine has "
        f"{format_amount(resource, there)}{unit}; "
        "request less, or use gyrus up --overcommit, which does not count CPU and memory"
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


def this_machine(allocations: Allocations) -> RunningMachine:
    """Return this machine with what replicas hold."""
    shares = allocations.shares.values()
    return RunningMachine(
        name="this machine",
        total=_view(allocations.machine.amount),
        held=tuple(HeldAmount(api=share.claim.api, amount=_view(share.claim.needs)) for share in shares),
    )


def _view(amount: Amount) -> AmountView:
    cpu = amount[Resource.CPU] / 1000
    return AmountView(cpu=cpu, mem=amount[Resource.MEMORY], gpu=amount[Resource.GPU])


def format_amount(resource: Resource, amount: int) -> str:
    match resource:
        case Resource.CPU:
            return display_cores(amount)
        case Resource.MEMORY:
            return display_memory(amount)
        case Resource.GPU:
            return str(amount)


def _lacks(shortage: Shortage, allocations: Allocations) -> str:
    return "; ".join(_lack(resource, shortage, allocations) for resource in shortage.lacking)


def _lack(resource: Resource, shortage: Shortage, allocations: Allocations) -> str:
    needs, free = shortage.claim.needs[resource], max(0, shortage.free[resource])
    name = "GPU" if resource is Resource.GPU and needs == 1 else NAMES[resource]
    total = allocations.machine.amount[resource]
    there = f"{format_amount(resource, free)} of {format_amount(resource, total)} free"
    kept = f", kept for {_first(resource, shortage)}" if free >= needs else ""
    held = _holders(resource, allocations.shares.values())
    return f"needs {format_amount(resource, needs)} {name}, {there}{kept}" + (f" ({held})" if held else "")


def _first(resource: Resource, shortage: Shortage) -> str:
    """Name the APIs for which the free amount is kept."""
    apis = [claim.api for claim in shortage.before if claim.needs[resource]]
    names = [*dict.fromkeys(apis)]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more} ahead in the queue"


def _holders(resource: Resource, shares: Iterable[Share]) -> str:
    """Return the holders: ``8 replicas of iris, 1 of flat hold 1.8``. Empty if there are none."""
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
    holders = ", ".join([first, *(f"{count} of {name}" for count, name in others)])
    holds = "holds" if replicas.total() == 1 else "hold"
    return f"{holders} {holds} {format_amount(resource, amounts.total())}"
