"""The scheduler's reason for leaving a pod unscheduled, in plain words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gyrus.contract.workload import ComputeResources, Placement
from gyrus.spec.quantities import display_cores, display_memory

_NODES = re.compile(r"(?P<fitting>\d+)/(?P<total>\d+) nodes are available: (?P<causes>.*)", re.DOTALL)
_CAUSE = re.compile(r"(?P<count>\d+) (?P<cause>.+)")
_TAINT = re.compile(r"taint {(?P<taint>[^}]*)}")
_FREE = {
    "cpu": "too little CPU",
    "memory": "too little memory",
    "nvidia.com/gpu": "too few GPUs",
    "ephemeral-storage": "too little disk space",
}
NOTHING = ComputeResources()
ANYWHERE = Placement()


def why_unscheduled(
    message: str, compute: ComputeResources = NOTHING, placement: Placement = ANYWHERE
) -> str:
    """Return why a pod waits.

    ``compute``: its requests, which are named if a node lacks them. ``placement``: the nodes that it selects.

    >>> why_unscheduled("0/2 nodes are available: 2 Insufficient cpu.", ComputeResources(cpu=4))
    'waiting for capacity: 2 of 2 nodes have too little CPU free (it needs 4)'
    """
    found = _NODES.search(message)
    if found is None:
        return f"waiting for capacity: {_clause(message)}" if message else "waiting for capacity"
    total = int(found["total"])
    if not total:
        return "waiting for capacity: the cluster has no nodes"
    causes = [_words(cause, total, compute, placement) for cause in _causes(found["causes"])]
    return f"waiting for capacity: {', '.join(causes)}"


def _causes(text: str) -> Iterator[str]:
    """Yield the parts of a list: ``1 Insufficient cpu, 1 node(s) had taint {a: b}, that the …``."""
    text = text.split(" preemption:")[0].strip().rstrip(".")
    yield from (part.strip() for part in re.split(r", (?=\d+ )", text))


def _words(cause: str, total: int, compute: ComputeResources, placement: Placement) -> str:
    found = _CAUSE.fullmatch(cause)
    if found is None:
        return cause
    count, words = int(found["count"]), found["cause"]
    has = "has" if count == 1 else "have"
    nodes = f"{count} of {total} nodes {has}"
    if words.startswith("Insufficient "):
        return f"{nodes} {_lacking(words.removeprefix('Insufficient '), compute)}"
    if words.startswith("Too many pods"):
        return f"{nodes} as many pods as allowed"
    if taint := _TAINT.search(words):
        return f"{nodes} the taint {taint['taint'].rstrip(': ')}"
    if "unschedulable" in words:
        return f"{nodes} been cordoned"
    if "volume" in words:
        return f"{count} of {total} nodes cannot reach its volume"
    if "selector" in words or "affinity" in words:
        return f"{nodes} {_other_labels(placement)}"
    return f"{count} of {total} nodes: {words.removeprefix('node(s) ')}"


def _lacking(resource: str, compute: ComputeResources) -> str:
    """Return what a node has too little of, and how much the pod needs."""
    needed = {
        "cpu": display_cores(round(compute.cpu * 1000)) if compute.cpu else "",
        "memory": display_memory(compute.mem) if compute.mem else "",
        "nvidia.com/gpu": str(compute.gpu or ""),
    }.get(resource, "")
    free = _FREE.get(resource, f"too little {resource}")
    return f"{free} free" + (f" (it needs {needed})" if needed else "")


def _other_labels(placement: Placement) -> str:
    """Return that a node is not among those that the API selects, and which these are."""
    selected = [f"{name}={value}" for name, value in sorted(placement.node_selector.items())]
    parts = [f"node_selector {', '.join(selected)}"] if selected else []
    if placement.node_groups:
        parts.append(f"node_groups {', '.join(placement.node_groups)}")
    what = f" ({'; '.join(parts)})" if parts else ""
    return f"other labels than those that the API selects{what}"


def _clause(message: str) -> str:
    return " ".join(message.split()).rstrip(".")
