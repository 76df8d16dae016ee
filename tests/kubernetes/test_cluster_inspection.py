"""``gyrus cluster info`` and ``health`` on an emulated account, with this cluster as its EKS."""

from __future__ import annotations

import pytest

from support.aws.cluster_on_aws import ClusterOnAws

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]
CPU = {"name": "cpu", "instance_type": "m5.large"}


def test_a_cluster_with_gyrus_on_it(cluster: ClusterOnAws) -> None:
    """The nodes of this cluster are no instances of the account: only their group is not as it should be."""
    cluster.write([CPU])
    up = cluster.run("cluster", "up", "-y")
    assert up.code == 0, up.err

    info = cluster.run("cluster", "info", "-f", "cluster.yaml", "-o", "json")
    assert info.code == 0, info.err
    data = info.json
    assert data["unread"] == {}
    assert data["installation"]["healthy"]
    assert [part["name"] for part in data["installation"]["parts"]] == ["gyrus-operator", "gyrus-gateway"]
    assert data["endpoints"]["operator"].startswith("https://")
    assert data["endpoints"]["gateway"].startswith("http")
    assert {node["state"] for node in data["nodes"]} == {"starting"}

    health = cluster.run("cluster", "health", "-f", "cluster.yaml")
    wrong = [line for line in health.out.splitlines() if line.startswith("wrong")]
    assert health.code == 1
    assert wrong == [
        "wrong node group cpu/on-demand: 0 of 2 nodes ready. Wait for it, or see why: gyrus cluster info "
        "lists the instances, and the EC2 console has their output"
    ]
    assert "ok    gyrus-operator: 1 of 1 ready" in health.out.splitlines()
