"""The scheduler's reason, in plain words."""

from __future__ import annotations

import pytest

from gyrus.backends.kubernetes.scheduling import why_unscheduled
from gyrus.contract.workload import ComputeResources, Placement

NEEDS = ComputeResources(cpu=0.5, mem=2**30, gpu=1)
BEGIN = "waiting for capacity: "
SELECTED = Placement(node_selector={"zone": "a", "disk": "ssd"}, node_groups=("gpu", "big"))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "0/2 nodes are available: 2 Insufficient cpu.",
            "2 of 2 nodes have too little CPU free (it needs 500m)",
        ),
        (
            "0/3 nodes are available: 1 Insufficient memory, 2 Insufficient nvidia.com/gpu.",
            "1 of 3 nodes has too little memory free (it needs 1Gi), 2 of 3 nodes have too few GPUs free (it "
            "needs 1)",
        ),
        (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had taint {team: ml}, that the pod "
            "didn't tolerate.",
            "1 of 2 nodes has too little CPU free (it needs 500m), 1 of 2 nodes has the taint team: ml",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
            "1 of 1 nodes has the taint node.kubernetes.io/not-ready",
        ),
        ("0/1 nodes are available: 1 node(s) were unschedulable.", "1 of 1 nodes has been cordoned"),
        (
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
            "2 of 2 nodes have other labels than those that the API selects (node_selector disk=ssd, zone=a; "
            "node_groups gpu, big)",
        ),
        (
            "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
            "2 of 2 nodes cannot reach its volume",
        ),
        ("0/4 nodes are available: 4 Too many pods.", "4 of 4 nodes have as many pods as allowed"),
        ("0/2 nodes are available: 2 node(s) did something.", "2 of 2 nodes: did something"),
    ],
)
def test_each_cause_has_its_words(message: str, words: str) -> None:
    assert why_unscheduled(message, NEEDS, SELECTED) == BEGIN + words


def test_a_cluster_without_nodes() -> None:
    message = "0/0 nodes are available: no nodes."
    assert why_unscheduled(message, NEEDS) == BEGIN + "the cluster has no nodes"


def test_other_words_are_kept() -> None:
    assert why_unscheduled("no nodes available to schedule pods.", NEEDS) == (
        "waiting for capacity: no nodes available to schedule pods"
    )
    assert why_unscheduled("", NEEDS) == "waiting for capacity"


def test_a_pod_without_requests() -> None:
    message = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match node selector."
    assert why_unscheduled(message) == (
        "waiting for capacity: 1 of 2 nodes has too little CPU free, 1 of 2 nodes has other labels than "
        "those that the API selects"
    )
