"""The YAML of the guide is what gyrus reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gyrus.cluster.values import parse_values
from gyrus.custom_resource.declaration import Declaration, read_declaration
from gyrus.kubernetes.resources import Manifest, resource_of

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "kubernetes.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
VALUES = [block for block in BLOCKS if "apiVersion:" not in block]
MANIFESTS: list[Manifest] = [yaml.safe_load(block) for block in BLOCKS if block not in VALUES]
OTHERS = {"Kustomization", "Application", "ConfigMap"}
"""Kinds of objects that other programs read."""


def test_the_guide_has_a_values_file_and_manifests() -> None:
    assert VALUES
    assert {manifest["kind"] for manifest in MANIFESTS} == {"API", *OTHERS}


@pytest.mark.parametrize("block", VALUES)
def test_each_values_file_has_no_fault(block: str) -> None:
    parse_values(block, "values.yaml")
    parse_values(re.sub(r"\n  storage.*(?=\n)", "", block).replace("# store:", "store:"), "values.yaml")


@pytest.mark.parametrize("manifest", [each for each in MANIFESTS if each["kind"] == "API"])
def test_each_manifest_is_one_of_an_api(manifest: Manifest) -> None:
    spec = manifest["spec"]
    assert spec["package"]["sha256"] == "6f1c…"
    spec = {**spec, "package": {**spec["package"], "sha256": "6f1c" * 16}}
    assert resource_of(manifest).full_name == "apis.gyrus.dev"
    assert isinstance(read_declaration(manifest["metadata"]["name"], spec), Declaration)
