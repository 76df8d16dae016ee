"""The capacity of a machine or a cluster for replicas, as text."""

from __future__ import annotations

from collections.abc import Iterator

from gyrus.contract.operator import AmountView, CapacityView, NodeClassView

OVERCOMMITTED = "overcommitted: CPU and memory are not counted"


def machine_summary(capacity: CapacityView) -> str:
    """Describe the capacity: ``2 CPU, 23.5Gi memory; 9 replicas hold 1.8 CPU; 1 waits for 500m CPU``."""
    parts = [_amount(capacity.total)]
    if capacity.replicas:
        parts.append(_held(capacity.replicas, capacity.held))
    if capacity.replicas_waiting:
        waits = "waits" if capacity.replicas_waiting == 1 else "wait"
        parts.append(f"{capacity.replicas_waiting} {waits} for {_amount(capacity.waiting)}")
    if capacity.overcommit:
        parts.append(OVERCOMMITTED)
    return "; ".join(parts)


def node_summaries(capacity: CapacityView) -> Iterator[str]:
    """Describe each class of a cluster's nodes.

    ``gpu (g5.xlarge, spot, taint nvidia.com/gpu:NoSchedule): 2 nodes, 8 CPU, 2 GPUs; 1 replica holds 1 GPU``
    """
    for each in capacity.nodes:
        kind = [each.instance_type, each.capacity_type, *(f"taint {taint}" for taint in each.taints)]
        details = ", ".join(part for part in kind if part)
        named = " ".join(part for part in (each.group, f"({details})" if details else "") if part)
        parts = [f"{_nodes(each)}, {_amount(each.total)}"]
        if each.replicas:
            parts.append(_held(each.replicas, each.held))
        yield (f"{named}: " if named else "") + "; ".join(parts)


def _nodes(each: NodeClassView) -> str:
    closed = f" ({each.closed} without new replicas)" if each.closed else ""
    return f"{each.nodes} {'node' if each.nodes == 1 else 'nodes'}{closed}"


def _held(replicas: int, amount: AmountView) -> str:
    return f"{replicas} {'replica holds' if replicas == 1 else 'replicas hold'} {_amount(amount)}"


def _amount(amount: AmountView) -> str:
    from gyrus.spec.quantities import display_cores, display_memory

    parts = {
        f"{display_cores(round(amount.cpu * 1000))} CPU": amount.cpu,
        f"{display_memory(amount.mem)} memory": amount.mem,
        f"{amount.gpu} {'GPU' if amount.gpu == 1 else 'GPUs'}": amount.gpu,
    }
    return ", ".join(text for text, there in parts.items() if there) or "nothing"
