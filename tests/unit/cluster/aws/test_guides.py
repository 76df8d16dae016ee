"""The examples of the guides are what gyrus reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gyrus.cluster.aws.cluster_file import parse_cluster

GUIDES = Path(__file__).parents[4] / "docs" / "guides"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", ["aws.md", "cluster-yaml.md"])
def test_each_cluster_of_a_guide_has_no_fault(guide: str) -> None:
    blocks = BLOCK.findall((GUIDES / guide).read_text("utf-8"))
    assert blocks
    for block in blocks:
        parse_cluster(block, guide)
