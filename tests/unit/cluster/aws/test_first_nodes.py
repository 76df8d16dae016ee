from typing import Any

import pytest
from hypothesis import given

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.first_nodes import first_sizes
from gyrus.cluster.aws.resource_names import scaling_group
from strategies.clusters import clusters


def spec(*groups: dict[str, Any]) -> ClusterSpec:
    typed = [{"instance_type": "m5.large"} | group for group in groups]
    return ClusterSpec.model_validate({"cluster_name": "vision", "region": "eu-west-1", "node_groups": typed})


@pytest.mark.parametrize(
    ("groups", "sizes"),
    [
        # By default a group has one node at least, and two begin.
        ([{"name": "cpu"}], {"cpu.on-demand": 2}),
        ([{"name": "cpu", "min_instances": 3}], {"cpu.on-demand": 3}),
        ([{"name": "cpu", "min_instances": 0, "max_instances": 1}], {"cpu.on-demand": 1}),
        # The first nodes are on demand; the least size of a spot group is not.
        ([{"name": "cpu", "min_instances": 1, "spot": True}], {"cpu.on-demand": 1, "cpu.spot": 1}),
        # Nodes with accelerators are for pods that ask for them.
        (
            [
                {"name": "gpu", "instance_type": "g5.xlarge", "min_instances": 0, "priority": 9},
                {"name": "cpu", "min_instances": 0},
            ],
            {"gpu.on-demand": 0, "cpu.on-demand": 2},
        ),
        ([{"name": "gpu", "instance_type": "g5.xlarge", "min_instances": 0}], {"gpu.on-demand": 2}),
        # A group that has nodes anyhow gets another one before an empty group gets its first.
        (
            [{"name": "large", "min_instances": 0, "priority": 9}, {"name": "small", "min_instances": 1}],
            {"large.on-demand": 0, "small.on-demand": 2},
        ),
        (
            [{"name": "a", "min_instances": 0, "max_instances": 1}, {"name": "b", "min_instances": 0}],
            {"a.on-demand": 1, "b.on-demand": 1},
        ),
    ],
)
def test_the_cluster_begins_with_two_nodes_if_it_may(groups: list[dict[str, Any]], sizes: dict[str, int]):
    found = first_sizes(spec(*groups))
    assert {name.removeprefix("gyrus-vision--"): size for name, size in found.items()} == sizes


@given(clusters())
def test_no_group_begins_below_its_least_or_above_its_greatest_size(fields: dict[str, Any]):
    cluster = ClusterSpec.model_validate(fields)
    sizes = first_sizes(cluster)
    for group in cluster.node_groups:
        both = [scaling_group(cluster.cluster_name, group.name, each) for each in ("on-demand", "spot")]
        total = sum(sizes.get(name, 0) for name in both)
        assert group.min_instances <= total <= group.max_instances
