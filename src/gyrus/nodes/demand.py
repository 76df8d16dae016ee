"""The pods that need a place: pending ones, required ones without a pod, and those of nodes that end."""

from __future__ import annotations

from collections import Counter

from gyrus.nodes.draft import NodeDraft, need_of
from gyrus.nodes.packing import PodNeed


def needs_of(draft: NodeDraft) -> list[PodNeed]:
    """Return the needs besides the pods that stay.

    The replacement of a replica on a node that ends may be among the pending pods already. For an API with
    required replicas, the missing ones are therefore counted, not the pods that end.
    """
    state = draft.state
    required = {one.api for one in state.required}
    needs = draft.pending_needs()
    have = Counter(pod.api for pod in state.pending)
    have.update(pod.api for pod in state.pods if draft.keeps_pods(pod.node))
    needs += [
        need_of(pod)
        for pod in state.pods
        if not draft.keeps_pods(pod.node) and pod.api not in required and pod.may_move
    ]
    for one in state.required:
        for number in range(one.replicas - have[one.api]):
            needs.append(PodNeed(name=f"{one.api} +{number + 1}", requests=one.requests, groups=one.groups))
    return needs
