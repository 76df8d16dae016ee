"""The scheduler's reason for leaving a pod unscheduled, in plain words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gyrus.contract.workload import ComputeResources
from gyrus.spec.quantities import display_cores, display_memory

_NODES = re.compile(r"(?P<fitting>\d+)/(?P<total>\d+) nodes are available: (?P<causes>.*)", re.DOTALL)
_CAUSE = re.compile(r"(?P<count>\d+) (?P<cause>.+)")
_TAINT = re.compile(r"taint {(?P<taint>[^}]*)}")
_SHORT = {"cpu": "CPU", "memory": "memory", "nvidia.com/gpu": "GPUs", "ephemeral-storage": "disk space"}


def why_unscheduled(message: str, compute: ComputeResources | None) -> str:
    """Return why a pod waits. ``compute``: its requests; None: they are not worth mentioning.

    >>> why_unscheduled("0/2 nodes are available: 2 Insufficient cpu.", ComputeResources(cpu=4))
    'waiting for capacity: needs 4 CPU; 2 of 2 nodes have too little CPU free'
    """
    needs = f"needs {_needs(compute)}; " if compute else ""
    found = _NODES.search(message)
    if found is None:
        return f"waiting for capacity: {_clause(message)}" if message else "waiting for capacity"
    total = int(found["total"])
    if not total:
        return f"waiting for capacity: {needs}the cluster has no nodes"
    causes = [_words(cause, total) for cause in _causes(found["causes"])]
    return f"waiting for capacity: {needs}{', '.join(causes)}"


def _causes(text: str) -> Iterator[str]:
    """Yield the parts of a list: ``1 Insufficient cpu, 1 node(s) had taint {a: b}, that the …``."""
    text = text.split(" preemption:")[0].strip().rstrip(".")
    yield from (part.strip() for part in re.split(r", (?=\d+ )", text))


def _words(cause: str, total: int) -> str:
    found = _CAUSE.fullmatch(cause)
    if found is None:
        return cause
    count, words = int(found["count"]), found["cause"]
    has = "has" if count == 1 else "have"
    nodes = f"{count} of {total} nodes {has}"
    if words.startswith("Insufficient "):
        return f"{nodes} too little {_short(words.removeprefix('Insufficient '))} free"
    if words.startswith("Too many pods"):
        return f"{nodes} as many pods as allowed"
    if taint := _TAINT.search(words):
        return f"{nodes} the taint {taint['taint'].rstrip(': ')}"
    if "unschedulable" in words:
        return f"{nodes} been cordoned"
    if "volume" in words:
        return f"{count} of {total} nodes cannot reach its volume"
    if "selector" in words or "affinity" in words:
        return f"{nodes} other labels than those that the API selects"
    return f"{count} of {total} nodes: {words.removeprefix('node(s) ')}"


def _short(resource: str) -> str:
    return _SHORT.get(resource, resource)


def _needs(compute: ComputeResources) -> str:
    needs: list[str] = []
    if compute.cpu:
        needs.append(f"{display_cores(round(compute.cpu * 1000))} CPU")
    if compute.mem:
        needs.append(f"{display_memory(compute.mem)} memory")
    if compute.gpu:
        needs.append(f"{compute.gpu} {'GPU' if compute.gpu == 1 else 'GPUs'}")
    return " and ".join(needs) or "a place on a node"


def _clause(message: str) -> str:
    return " ".join(message.split()).rstrip(".")
