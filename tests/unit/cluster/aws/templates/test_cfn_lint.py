"""cfn-lint, the public check of CloudFormation templates, finds nothing in any template."""

from __future__ import annotations

from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.templates.account_facts import AccountFacts, DataState
from gyrus.cluster.aws.templates.base_stack import render_base
from gyrus.cluster.aws.templates.document import StackTemplate, rendered
from gyrus.cluster.aws.templates.group_stack import render_group
from support.cluster_templates import CPU, GPU, OWN_SUBNETS, SPOT, cluster

pytestmark = pytest.mark.slow

ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
CLUSTERS: dict[str, tuple[ClusterSpec, AccountFacts]] = {
    "small": (cluster(tags={"team": "vision"}), AccountFacts()),
    "private": (
        cluster(subnet_visibility="private", nat_gateway="highly_available", availability_zones=ZONES),
        AccountFacts(nodes_exist=True),
    ),
    "own subnets": (
        cluster(subnets=OWN_SUBNETS, iam_policy_arns=["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]),
        AccountFacts(data=DataState.FOUND),
    ),
    "long name": (cluster(cluster_name="a" * 54, scaler="karpenter", nat_gateway="single"), AccountFacts()),
    "kept data": (cluster(cloudwatch=False), AccountFacts(data=DataState.KEPT, zones=tuple(ZONES))),
}
GROUPS: dict[str, dict[str, Any]] = {
    "spot": {**SPOT, "instance_volume_type": "io1", "instance_volume_iops": 100},
    "pools": {**SPOT, "name": "a" * 25, "spot_config": {"instance_pools": 2}},
    "accelerators": {**GPU, "instance_volume_type": "gp2"},
    "disk": {**CPU, "instance_volume_type": "st1", "instance_volume_size": 125},
}


def findings(template: StackTemplate) -> list[str]:
    return [str(found) for found in lint(rendered(template), config=ManualArgs(regions=["eu-west-1"]))]


@pytest.mark.parametrize("name", CLUSTERS)
def test_base_stacks(name: str) -> None:
    assert findings(render_base(*CLUSTERS[name])) == []


@pytest.mark.parametrize("name", GROUPS)
def test_group_stacks(name: str) -> None:
    spec = cluster(GROUPS[name], {**CPU, "name": "other"})
    assert findings(render_group(spec, spec.node_groups[0])) == []


def test_a_mistake_would_be_found() -> None:
    template = render_base(cluster())
    template["Resources"]["Cluster"]["Properties"]["Nme"] = "vision"
    assert any("Nme" in found for found in findings(template))
