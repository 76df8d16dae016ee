"""cluster.yaml: what it means, and the exact words for everything that can be wrong with it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.cluster.aws.cluster_file import load_cluster, parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.spec.faults import NoSpecification, SpecError
from strategies.clusters import cluster_specs, clusters
from support.examples import examples

SMALL = "region: us-east-1\nnode_groups: [{name: cpu, instance_type: m5.large}]\n"


def wrong_files() -> Iterator[tuple[str, list[str]]]:
    """The cases of ``wrong.txt``: YAML, then the faults, in lines that begin with >>>."""
    text = (Path(__file__).parent / "wrong.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("########")]
    for block in "\n".join(lines).strip().split("\n\n"):
        written = [line for line in block.strip().splitlines() if not line.startswith(">>> ")]
        yield "\n".join(written) + "\n", [line[4:] for line in block.splitlines() if line.startswith(">>> ")]


@pytest.mark.parametrize(("text", "expected"), list(wrong_files()))
def test_what_is_reported_of_a_wrong_file(text: str, expected: list[str]) -> None:
    assert expected
    with pytest.raises(SpecError) as caught:
        parse_cluster(text, "cluster.yaml")
    assert [str(fault) for fault in caught.value.faults] == expected


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_lacks_what_is_required(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_cluster(text, "c")
    assert [fault.field for fault in caught.value.faults] == ["node_groups", "region"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    with pytest.raises(NoSpecification) as caught:
        load_cluster(file)
    [fault] = caught.value.faults
    assert (fault.message, fault.remedy) == (
        f"there is no file {file}",
        "write one with: gyrus cluster init",
    )
    with pytest.raises(SpecError, match="is a folder; name a YAML file"):
        load_cluster(tmp_path)
    file.write_text(SMALL)
    assert load_cluster(file).region == "us-east-1"


def test_the_defaults_are_those_of_cortex() -> None:
    cluster = parse_cluster(SMALL, "c")
    [group] = cluster.node_groups
    assert (cluster.cluster_name, cluster.vpc_cidr, cluster.nat) == ("cortex", "192.168.0.0/16", "none")
    assert (cluster.subnet_visibility, cluster.api_load_balancer_type) == ("public", "nlb")
    assert cluster.api_load_balancer_scheme == cluster.operator_load_balancer_scheme == "internet-facing"
    assert cluster.api_load_balancer_cidr_white_list == ("0.0.0.0/0",)
    assert (group.min_instances, group.max_instances, group.priority) == (1, 5, 1)
    assert (group.instance_volume_size, group.instance_volume_type) == (50, "gp3")
    assert (group.iops, group.throughput) == (3000, 125)
    assert (group.spot, group.instance_types) == (False, ("m5.large",))
    assert (cluster.scaler, cluster.gyrus.namespace, cluster.two_operators) == ("gyrus", "gyrus", False)


def with_fields(group: str, *lines: str) -> ClusterSpec:
    text = f"region: us-east-1\nnode_groups: [{{name: cpu, instance_type: m5.large, {group}}}]\n"
    return parse_cluster(text + "\n".join(lines), "c")


def test_the_primary_type_is_always_among_the_types() -> None:
    [group] = with_fields(
        "spot: true, spot_config: {instance_distribution: [m5.xlarge, m4.large]}"
    ).node_groups
    assert group.instance_types == ("m5.large", "m5.xlarge", "m4.large")
    [group] = with_fields(
        "spot: true, spot_config: {instance_distribution: [m5.xlarge, m5.large]}"
    ).node_groups
    assert group.instance_types == ("m5.large", "m5.xlarge")


def test_operations_and_throughput_by_type_of_volume() -> None:
    found = {
        (kind, size): (group.iops, group.throughput)
        for kind, size in [("gp2", 50), ("gp3", 50), ("io1", 20), ("io1", 100), ("sc1", 125)]
        for group in with_fields(f"instance_volume_type: {kind}, instance_volume_size: {size}").node_groups
    }
    assert found == {
        ("gp2", 50): (None, None),
        ("gp3", 50): (3000, 125),
        ("io1", 20): (1000, None),
        ("io1", 100): (3000, None),
        ("sc1", 125): (None, None),
    }


def test_private_subnets_have_a_nat_gateway_by_default() -> None:
    assert with_fields("", "subnet_visibility: private").nat == "single"
    assert (
        with_fields("", "subnet_visibility: private", "nat_gateway: highly_available").nat
        == "highly_available"
    )
    own = "[{availability_zone: us-east-1a, subnet_id: subnet-00000001}, "
    own += "{availability_zone: us-east-1b, subnet_id: subnet-00000002}]"
    assert with_fields("", "subnet_visibility: private", f"subnets: {own}").nat == "none"


def test_numbers_are_texts_where_texts_are_required() -> None:
    cluster = with_fields(
        "", "kubernetes_version: 1.40", "cluster_name: 1234", "tags: {cost: 017, team: 1.50}"
    )
    assert cluster.kubernetes_version == "1.40"
    assert (cluster.cluster_name, cluster.tags) == ("1234", {"cost": "017", "team": "1.50"})


@pytest.mark.parametrize(
    "url", ["u:hidden@db/gyrus", "db/gyrus?sslmode=require&password=hidden", "u:hidden@db:x/g"]
)
def test_no_message_shows_the_password_of_a_database(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        with_fields("", f'gyrus: {{store: "postgresql://{url}"}}')
    assert "hidden" not in str(caught.value)


def test_null_means_the_default_as_in_files_of_cortex() -> None:
    fields = ["availability_zones", "subnets", "tags", "iam_policy_arns", "ssl_certificate_arn", "vpc_id"]
    spot = "instance_distribution: , on_demand_base_capacity: , max_price: , instance_pools: "
    cluster = with_fields(f"spot: true, spot_config: {{{spot}}}", *(f"{field}:" for field in fields))
    assert cluster == with_fields("spot: true, spot_config: {}")
    assert with_fields("spot_config: ") == with_fields("")


@pytest.mark.parametrize("field", ["region", "cluster_name", "scaler", "cloudwatch"])
def test_null_is_no_value_elsewhere(field: str) -> None:
    lines = {"region": "us-east-1", "node_groups": "[{name: cpu, instance_type: m5.large}]", field: ""}
    with pytest.raises(SpecError, match=f"{field}: .*nothing"):
        parse_cluster("".join(f"{name}: {value}\n" for name, value in lines.items()), "c")


def test_a_database_means_two_operators() -> None:
    assert with_fields("", "gyrus: {store: postgresql://gyrus@db.example.com/gyrus}").two_operators


def test_the_bounds_of_numbers_of_groups_and_tags() -> None:
    fields: dict[str, Any] = {"region": "us-east-1"}
    groups = [{"name": f"g{number}", "instance_type": "m5.large"} for number in range(101)]
    assert len(parse_cluster(yaml.safe_dump({**fields, "node_groups": groups[:100]}), "c").node_groups) == 100
    tags = {f"t{number}": "x" for number in range(41)}
    with pytest.raises(SpecError) as caught:
        parse_cluster(yaml.safe_dump({**fields, "node_groups": groups, "tags": tags}), "c")
    assert [str(fault) for fault in caught.value.faults] == [
        "c:1:1: node_groups: has 101 groups; at most 100 are allowed; remove some",
        "c:205:1: tags: has 41 tags; at most 40 are allowed; remove some",
    ]


@settings(max_examples=examples(0.5))
@given(cluster_specs)
def test_a_cluster_survives_its_file(cluster: ClusterSpec) -> None:
    for unset in (True, False):
        text = yaml.safe_dump(cluster.model_dump(mode="json", exclude_defaults=unset))
        assert parse_cluster(text, "c") == cluster


@settings(max_examples=examples(0.5))
@given(clusters(), st.data())
def test_a_wrong_field_is_found_in_its_place(fields: dict[str, Any], data: st.DataObject) -> None:
    """One more letter in any name is reported once, in its line, with the right name."""
    broken = copy.deepcopy(fields)
    section = data.draw(st.sampled_from([broken, broken["gyrus"], *broken["node_groups"]]))
    optional = [name for name in section if name not in ("region", "name", "instance_type", "node_groups")]
    name = data.draw(st.sampled_from(optional))
    section[f"{name}x"] = section.pop(name)
    text = yaml.safe_dump(broken)
    with pytest.raises(SpecError) as caught:
        parse_cluster(text, "c")
    [fault] = [fault for fault in caught.value.faults if fault.message == "unknown field"]
    assert fault.remedy == f'did you mean "{name}"?'
    assert fault.line is not None
    assert text.splitlines()[fault.line - 1].lstrip("- ").startswith(f"{name}x:")
