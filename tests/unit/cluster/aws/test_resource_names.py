"""Names of AWS resources: within AWS's limits, and never the same for two things."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws import resource_names as aws_names
from gyrus.cluster.aws.identifiers import LONGEST_CLUSTER_NAME
from gyrus.cluster.aws.regions import REGIONS
from gyrus.cluster.aws.templates.roles import PURPOSES
from support.cluster_templates import CPU, cluster

words = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True)
short_words = words.filter(lambda name: 3 <= len(name) <= LONGEST_CLUSTER_NAME)
clusters = short_words | st.integers(3, LONGEST_CLUSTER_NAME).map(lambda count: "a" * count)
groups = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,23}[a-z0-9])?", fullmatch=True)
regions = st.sampled_from(REGIONS)


@given(clusters, groups, regions)
def test_names_are_within_the_limits_of_aws(name: str, group: str, region: str) -> None:
    spec = cluster(CPU, cluster_name=name, region=region)
    bucket = aws_names.bucket_name(spec, "123456789012")
    assert len(bucket) <= 63
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", bucket)
    roles = {aws_names.role_name(spec, purpose) for purpose in PURPOSES.values()}
    assert len(roles) == len(PURPOSES)
    assert all(len(role) <= 64 for role in roles)
    assert len(aws_names.queue_name(name)) <= 80
    assert len(f"{aws_names.rule_prefix(name)}-SpotInterruption") <= 64
    assert len(aws_names.group_stack(name, group)) <= 128
    assert len(aws_names.scaling_group(name, group, "on-demand")) <= 128
    assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]*", aws_names.group_stack(name, group))


@given(clusters, groups, clusters, groups)
def test_two_groups_never_share_a_stack(first: str, one: str, second: str, other: str) -> None:
    stacks = {
        aws_names.base_stack(first),
        aws_names.base_stack(second),
        aws_names.group_stack(first, one),
        aws_names.group_stack(second, other),
    }
    assert len(stacks) == len({first, second}) + len({(first, one), (second, other)})


def test_a_cluster_with_the_name_of_another_and_its_group() -> None:
    assert aws_names.base_stack("vision-cpu") != aws_names.group_stack("vision", "cpu")


def test_names_that_were_cut_short_differ() -> None:
    names = [f"{'a' * 80}{number}" for number in range(3)]
    short = [aws_names.shortened(name, 40) for name in names]
    assert all(len(name) <= 40 for name in short)
    assert all(first != second for first, second in pairwise(short))


def test_a_name_names_its_region_because_roles_have_none() -> None:
    first, second = (cluster(region=region) for region in ("eu-west-1", "eu-west-2"))
    assert aws_names.role_name(first, "node") == "gyrus-vision-eu-west-1-node"
    assert aws_names.role_name(second, "node") == "gyrus-vision-eu-west-2-node"
