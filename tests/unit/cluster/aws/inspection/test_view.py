"""The JSON of a cluster: complete, and complete in what it lacks."""

from __future__ import annotations

import json

from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.inspection.facts import ScalingFacts, UnreadPart
from gyrus.cluster.aws.inspection.view import cluster_report, report_data
from support.aws.cluster_facts import HEALTHY, NOW, cluster, facts


def test_a_cluster_in_full() -> None:
    data = report_data(cluster_report(cluster(), HEALTHY, NOW))
    assert json.loads(json.dumps(data)).keys() == data.keys()
    assert data["kubernetes"] == {
        "version": "1.34",
        "status": "ACTIVE",
        "endpoint": "https://k8s.example.com",
        "standard_support_ends": "2026-12-02",
    }
    assert data["endpoints"] == {
        "operator": "https://operator.example.com",
        "gateway": "http://apis.example.com",
    }
    (node,) = data["nodes"]
    assert (node["replicas"], node["requested"]["cpu"], node["allocatable"]["cpu"]) == (1, 1.0, 1.93)
    assert data["node_groups"][0]["ready"] == 1
    assert data["usd_per_hour"]["now"] == data["usd_per_hour"]["minimum"]
    assert data["unread"] == {}
    assert data["bucket"] == "gyrus-vision-123456789012-us-east-1"


def test_a_cluster_of_which_nothing_exists() -> None:
    found = facts(
        stacks=FoundStacks(None, {}),
        eks=None,
        add_ons={},
        scaling=ScalingFacts(),
        queue=None,
        bucket=False,
        log_group=False,
        kubernetes=UnreadPart("There is no EKS cluster."),
    )
    data = report_data(cluster_report(cluster(), found, NOW))
    assert (data["kubernetes"], data["stacks"], data["nodes"], data["queue"]) == (None, [], [], None)
    assert data["usd_per_hour"]["now"] is None
    assert data["prices"]["now"] is None
    assert list(data["unread"]) == ["kubernetes"]


def test_parts_that_cannot_be_read_are_null_and_explained() -> None:
    denied = UnreadPart("no", "ask")
    parts = ("stacks", "scaling", "balancers", "add_ons", "queue", "bucket")
    found = facts(**dict.fromkeys(parts, denied))
    data = report_data(cluster_report(cluster(), found, NOW))
    for name in ("stacks", "node_groups", "nodes", "load_balancers", "add_ons", "queue", "bucket"):
        assert data[name] is None
    assert data["unread"]["balancers"] == {"message": "no", "remedy": "ask"}
