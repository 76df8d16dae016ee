"""The examples of the guides are what gyrus reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.policies.administrator import administrator_statements
from gyrus.cluster.aws.policies.operator import operator_statements
from gyrus.cluster.aws.policies.statement import PolicyScope, policy_table

GUIDES = Path(__file__).parents[4] / "docs" / "guides"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NODE_GROUPS = re.compile(r"^node_groups:", re.MULTILINE)
"""A field that only a cluster.yaml has."""


@pytest.mark.parametrize("guide", ["aws.md", "aws-permissions.md", "cluster-yaml.md"])
def test_each_cluster_of_a_guide_has_no_fault(guide: str) -> None:
    found = BLOCK.findall((GUIDES / guide).read_text("utf-8"))
    blocks = [block for block in found if NODE_GROUPS.search(block)]
    assert blocks
    for block in blocks:
        parse_cluster(block, guide)


def test_the_guide_has_every_right_with_its_reason() -> None:
    guide = (GUIDES / "aws-permissions.md").read_text("utf-8")
    (block,) = BLOCK.findall(guide)
    scope = PolicyScope(parse_cluster(block, "aws-permissions.md"))
    for name, statements in (
        ("operator", operator_statements(scope)),
        ("administrator", administrator_statements(scope)),
    ):
        between = guide.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
        assert between.strip() == policy_table(statements)
