"""Karpenter's objects for the node groups, and what becomes of them on a cluster."""

from __future__ import annotations

from typing import Any

from gyrus.aio.clock import SystemClock
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.karpenter import karpenter_objects
from gyrus.cluster.aws.karpenter_pools import apply_pools, remove_pools
from gyrus.kubernetes.resources import NODE_CLAIMS, NODE_CLASSES, NODE_POOLS
from support.api_server import SERVED, ApiServer

BASE = {"Subnets": "subnet-a,subnet-b", "SecurityGroup": "sg-1"}
KINDS = (*SERVED, NODE_POOLS, NODE_CLASSES, NODE_CLAIMS)
CPU = {"name": "cpu", "instance_type": "m5.large", "spot": True, "max_instances": 6, "priority": 7}
GPU = {"name": "gpu", "instance_type": "g5.xlarge", "min_instances": 0, "max_instances": 2}


def spec(*groups: dict[str, Any], scaler: str = "karpenter", **fields: Any) -> ClusterSpec:
    described = {"cluster_name": "vision", "region": "eu-west-1", "scaler": scaler, **fields}
    return ClusterSpec.model_validate({**described, "node_groups": list(groups or (CPU, GPU))})


def test_a_pool_has_the_group_s_types_capacity_and_bounds() -> None:
    _, pool, *_ = karpenter_objects(spec(), BASE)
    assert pool["metadata"]["name"] == "gyrus-cpu"
    node = pool["spec"]["template"]["spec"]
    assert node["nodeClassRef"] == {
        "group": "karpenter.k8s.aws",
        "kind": "EC2NodeClass",
        "name": "gyrus-cpu",
    }
    assert node["requirements"] == [
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]},
        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.large"]},
    ]
    assert "taints" not in node
    assert pool["spec"]["template"]["metadata"]["labels"] == {"gyrus.dev/node-group": "cpu"}
    assert pool["spec"]["weight"] == 7
    assert pool["spec"]["limits"] == {"cpu": "10"}  # five instances beside the one of Auto Scaling
    assert pool["spec"]["disruption"]["consolidationPolicy"] == "WhenEmptyOrUnderutilized"


def test_nodes_are_those_of_the_launch_templates() -> None:
    found, *_ = karpenter_objects(spec(tags={"team": "vision"}), BASE)
    assert (found["apiVersion"], found["kind"]) == ("karpenter.k8s.aws/v1", "EC2NodeClass")
    body = found["spec"]
    assert body["subnetSelectorTerms"] == [{"id": "subnet-a"}, {"id": "subnet-b"}]
    assert body["securityGroupSelectorTerms"] == [{"id": "sg-1"}]
    assert body["instanceProfile"] == "gyrus-vision-eu-west-1-node"
    assert body["associatePublicIPAddress"] is True
    assert body["metadataOptions"]["httpTokens"] == "required"
    assert body["tags"]["team"] == "vision"
    assert body["tags"]["gyrus.dev/cluster"] == "vision"
    (volume,) = body["blockDeviceMappings"]
    assert volume["deviceName"] == "/dev/xvda"
    assert {key: volume["ebs"][key] for key in ("encrypted", "volumeType", "volumeSize")} == {
        "encrypted": True,
        "volumeType": "gp3",
        "volumeSize": "50Gi",
    }


def test_accelerators_have_a_taint_beside_other_groups() -> None:
    pool = karpenter_objects(spec(), BASE)[3]
    node = pool["spec"]["template"]["spec"]
    assert node["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    assert node["requirements"][0]["values"] == ["on-demand"]


def test_a_disk_that_nothing_boots_from_is_a_second_volume() -> None:
    group = {**CPU, "instance_volume_type": "st1", "instance_volume_size": 125}
    body = karpenter_objects(spec(group), BASE)[0]["spec"]
    assert [each["ebs"]["volumeSize"] for each in body["blockDeviceMappings"]] == ["20Gi", "125Gi"]
    assert body["userData"].startswith("#!/bin/bash\n")


def test_a_group_that_cannot_grow_has_no_pool() -> None:
    assert karpenter_objects(spec({**CPU, "min_instances": 6}), BASE) == []


def test_of_unknown_types_the_fewest_cores_are_allowed() -> None:
    pool = karpenter_objects(spec({**CPU, "instance_type": "m99.large"}), BASE)[1]
    assert pool["spec"]["limits"] == {"cpu": "5"}


def pools(server: ApiServer) -> list[str]:
    return sorted(name for plural, _, name in server.objects if plural in ("nodepools", "ec2nodeclasses"))


async def test_pools_of_groups_that_are_gone_are_deleted() -> None:
    server, notes = ApiServer(served=KINDS), list[str]()
    async with server.client() as client:
        await apply_pools(client, spec(), BASE, notes.append)
        assert pools(server) == ["gyrus-cpu", "gyrus-cpu", "gyrus-gpu", "gyrus-gpu"]
        await apply_pools(client, spec(CPU), BASE, notes.append)
        assert pools(server) == ["gyrus-cpu", "gyrus-cpu"]
        await apply_pools(client, spec(CPU, scaler="gyrus"), BASE, notes.append)
        assert pools(server) == []
    assert notes == []


async def test_a_cluster_without_karpenter_has_a_note_with_the_remedy() -> None:
    notes: list[str] = []
    async with ApiServer().client() as client:
        await apply_pools(client, spec(), BASE, notes.append)
        await apply_pools(client, spec(scaler="gyrus"), BASE, notes.append)
        assert await remove_pools(client, spec(), SystemClock(), 300)
    assert notes == [
        "Karpenter is not installed on the cluster vision, so that its groups stay at min_instances. Install "
        "Karpenter 1.0 or later (https://karpenter.sh/docs/getting-started), and run gyrus cluster configure."
    ]


async def test_the_removal_waits_for_the_nodes_of_the_pools() -> None:
    server = ApiServer(served=KINDS)
    labels = {"karpenter.sh/nodepool": "gyrus-cpu"}
    async with server.client() as client:
        await apply_pools(client, spec(), BASE, print)
        server.put(
            NODE_CLAIMS, {"metadata": {"name": "other", "labels": {"karpenter.sh/nodepool": "theirs"}}}
        )
        server.put(NODE_CLAIMS, {"metadata": {"name": "one", "labels": labels}})
        assert not await remove_pools(client, spec(), SystemClock(), 0)
        assert pools(server) == ["gyrus-cpu", "gyrus-gpu"]  # the classes, which the nodes still need
        server.remove(NODE_CLAIMS, "one")
        assert await remove_pools(client, spec(), SystemClock(), 300)
    assert pools(server) == []
