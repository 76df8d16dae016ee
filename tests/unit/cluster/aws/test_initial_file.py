"""The file that ``gyrus cluster init`` writes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec, GyrusSection, Subnet
from gyrus.cluster.aws.initial_file import initial_file
from gyrus.cluster.aws.node_group import NodeGroup, SpotConfig
from gyrus.cluster.aws.regions import REGIONS
from gyrus.spec.faults import SpecError


@given(st.sampled_from(REGIONS))
def test_it_is_valid_and_has_the_defaults(region: str) -> None:
    cluster = parse_cluster(initial_file(region, "cluster.yaml"), "cluster.yaml")
    [group] = cluster.node_groups
    chosen = NodeGroup(name="cpu", instance_type="m5.large")
    assert cluster == ClusterSpec(cluster_name="gyrus", region=region, node_groups=(chosen,))
    assert group == chosen


def test_without_a_region_its_place_is_the_only_fault() -> None:
    text = initial_file(None, "cluster.yaml")
    with pytest.raises(SpecError) as caught:
        parse_cluster(text, "cluster.yaml")
    [fault] = caught.value.faults
    assert (fault.field, fault.remedy) == ("region", "write for example us-east-1")
    assert fault.line is not None
    assert text.splitlines()[fault.line - 1] == "region: YOUR-REGION"


def test_it_has_every_field_with_its_meaning() -> None:
    lines = initial_file("us-east-1", "cluster.yaml").splitlines()
    for model in (ClusterSpec, NodeGroup, SpotConfig, GyrusSection):
        for name, field in model.model_fields.items():
            [number] = [i for i, line in enumerate(lines) if re.match(rf"[ #-]*\b{name}:", line)][:1]
            assert lines[number - 1].lstrip().startswith("#"), name
            assert " ".join(str(field.description).split())[:20] in " ".join(lines), name


def uncommented(text: str, name: str) -> str:
    """The text with this field in force."""
    lines = text.splitlines()
    [start] = [number for number, line in enumerate(lines) if re.fullmatch(rf" *# {name}:.*", line)]
    below = lines[start][: lines[start].index("#")] + "#   "
    end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith(below)), len(lines))
    lines[start:end] = [line.replace("# ", "", 1) for line in lines[start:end]]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize(
    "names",
    [
        ("availability_zones",), ("subnets",), ("vpc_id", "subnets"), ("nat_gateway",), ("tags",),
        ("ssl_certificate_arn",), ("iam_policy_arns",), ("instance_volume_iops",),
        ("instance_volume_throughput",), ("spot_config",), ("spot_config", "instance_distribution"),
        ("spot_config", "max_price"), ("spot_config", "instance_pools"),
    ],
)  # fmt: skip
def test_each_example_is_valid(names: tuple[str, ...], region: str) -> None:
    text = initial_file(region, "cluster.yaml")
    for name in names:
        text = uncommented(text, name)
    cluster = parse_cluster(text.replace("spot: false", "spot: true"), "cluster.yaml")
    dumped = f"{cluster.model_dump(exclude_unset=True)}"
    assert all(name in dumped for name in names)


def test_lines_are_not_long() -> None:
    assert max(map(len, initial_file("ap-northeast-1", "cluster.yaml").splitlines())) <= 120


def test_every_field_without_a_value_has_an_example() -> None:
    for model in (ClusterSpec, NodeGroup, SpotConfig, Subnet):
        for name, field in model.model_fields.items():
            assert field.examples or field.default not in (None, ()) or name == "spot_config", name
