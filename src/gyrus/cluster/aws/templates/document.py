"""The parts of a CloudFormation template: references, tags, resources. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

StackTemplate: TypeAlias = dict[str, Any]
"""A template as JSON."""
StackResource: TypeAlias = dict[str, Any]
"""One resource of a template."""
FORMAT = "2010-09-09"
LARGEST_BODY = 51_200
"""Bytes of a template that CloudFormation takes without an object of S3."""
ACCOUNT = "${AWS::AccountId}"
"""The account, in a text for :func:`substituted`."""


def ref(name: str) -> StackResource:
    return {"Ref": name}


def attribute(name: str, of: str) -> StackResource:
    """Return the attribute of a resource."""
    return {"Fn::GetAtt": [of, name]}


def joined(values: list[Any]) -> StackResource:
    """Return the values as one text, with commas between them."""
    return {"Fn::Join": [",", values]}


def substituted(value: Any) -> Any:
    """Return a value in which CloudFormation replaces each ``${NAME}`` in texts."""
    if isinstance(value, str):
        return {"Fn::Sub": value} if "${" in value else value
    if isinstance(value, Mapping):
        return {key: substituted(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType] -- JSON
    if isinstance(value, list | tuple):
        return [substituted(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType] -- JSON
    return value


def resource(kind: str, properties: Mapping[str, Any], **fields: Any) -> StackResource:
    """Return a resource. ``fields``: such as ``DependsOn``."""
    return {"Type": f"AWS::{kind}", **fields, "Properties": dict(properties)}


def tag_list(tags: Mapping[str, str]) -> list[StackResource]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def template(description: str, **sections: Mapping[str, Any]) -> StackTemplate:
    """Return a template of the sections that are not empty."""
    found = {name: dict(section) for name, section in sections.items() if section}
    return {"AWSTemplateFormatVersion": FORMAT, "Description": description, **found}


def body(found: StackTemplate) -> str:
    """Return the text of a template as CloudFormation gets it, without spaces."""
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def rendered(found: StackTemplate) -> str:
    """Return the text of a template: the same for equal templates."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
