"""Specifications of clusters for tests of templates, and questions about a template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.templates.document import StackTemplate

CPU = {"name": "cpu", "instance_type": "m5.large"}
SPOT = {
    "name": "cpu-spot",
    "instance_type": "m5.large",
    "max_instances": 20,
    "spot": True,
    "spot_config": {"instance_distribution": ["m5.xlarge"], "max_price": 0.1},
}
GPU = {"name": "gpu", "instance_type": "g5.xlarge", "min_instances": 0}
OWN_SUBNETS = [
    {"availability_zone": f"eu-west-1{letter}", "subnet_id": f"subnet-0000000{number}"}
    for number, letter in enumerate("ab")
]


def cluster(*groups: dict[str, Any], **fields: Any) -> ClusterSpec:
    """A cluster in eu-west-1; by default with one group."""
    return ClusterSpec.model_validate(
        {"cluster_name": "vision", "region": "eu-west-1", "node_groups": [*(groups or (CPU,))], **fields}
    )


def group_of(spec: ClusterSpec, name: str) -> NodeGroup:
    return next(group for group in spec.node_groups if group.name == name)


def of_type(template: StackTemplate, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a type, by their names."""
    found = template["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == f"AWS::{kind}"}


def tags_of(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


@cache
def can_bear_tags(kind: str) -> bool:
    """Whether resources of a type have tags, by CloudFormation's own schema."""
    return "Tags" in schema_of(kind)["properties"]


def rights_for(kind: str) -> set[str]:
    """The actions that CloudFormation may take to create, read and delete a resource, by its own schema."""
    handlers = schema_of(kind)["handlers"]
    used = [handlers[name] for name in ("create", "read", "delete") if name in handlers]
    return {action for each in used for action in each["permissions"]}


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """CloudFormation's schema of a type of resources, as cfn-lint has it."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas"
    digests = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    return json.loads((schemas / "resources" / f"{digests[kind]}.json").read_text())


def references(value: Any) -> Iterator[str]:
    """The names of resources and parameters that a part of a template refers to."""
    if isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType] -- JSON
            yield from references(inner)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType] -- JSON
        if key == "Ref":
            yield str(inner)  # pyright: ignore[reportUnknownArgumentType] -- JSON
        elif key == "Fn::GetAtt":
            yield inner[0]
        elif key == "Fn::Sub":
            yield from (part.partition("}")[0] for part in str(inner).split("${")[1:])  # pyright: ignore[reportUnknownArgumentType] -- JSON
        else:
            yield from references(inner)


def dangling(template: StackTemplate) -> set[str]:
    """The references of a template to what it does not have."""
    known = {*template["Resources"], *template.get("Parameters", {})}
    found = set(references(template["Resources"])) | set(references(template["Outputs"]))
    needed = {name for each in template["Resources"].values() for name in _depends(each)}
    return {name for name in found | needed if not name.startswith("AWS::")} - known


def _depends(resource: dict[str, Any]) -> list[str]:
    found = resource.get("DependsOn", [])
    return [found] if isinstance(found, str) else found
