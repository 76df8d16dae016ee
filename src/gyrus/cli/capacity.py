"""A machine's capacity for replicas, as text."""

from __future__ import annotations

from gyrus.contract.operator import AmountView, CapacityView

OVERCOMMITTED = "overcommitted: CPU and memory are not counted"


def machine_summary(capacity: CapacityView) -> str:
    """Describe the capacity: ``2 CPU, 23.5Gi memory; 9 replicas hold 1.8 CPU; 1 waits for 500m CPU``."""
    holds = "replica holds" if capacity.replicas == 1 else "replicas hold"
    parts = [_amount(capacity.total)]
    if capacity.replicas:
        parts.append(f"{capacity.replicas} {holds} {_amount(capacity.held)}")
    if capacity.replicas_waiting:
        waits = "waits" if capacity.replicas_waiting == 1 else "wait"
        parts.append(f"{capacity.replicas_waiting} {waits} for {_amount(capacity.waiting)}")
    if capacity.overcommit:
        parts.append(OVERCOMMITTED)
    return "; ".join(parts)


def _amount(amount: AmountView) -> str:
    from gyrus.spec.quantities import display_cores, display_memory

    parts = {
        f"{display_cores(round(amount.cpu * 1000))} CPU": amount.cpu,
        f"{display_memory(amount.mem)} memory": amount.mem,
        f"{amount.gpu} {'GPU' if amount.gpu == 1 else 'GPUs'}": amount.gpu,
    }
    return ", ".join(text for text, there in parts.items() if there) or "nothing"
