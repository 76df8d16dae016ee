"""A first cluster.yaml: every field with its meaning, and its default. Pure.

A field whose default is no value, such as the ID of your own VPC, is a comment with an example. Without its
``# ``, the example is YAML.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.regions import PLACEHOLDER, partition_of
from gyrus.spec.diagnosis import flow
from gyrus.spec.fields import Fields, model_in

WIDTH = 110
"""Characters of a line of comment, at most."""
HEAD = """\
# A cluster on AWS. Check this file with: gyrus cluster validate {file}
# Lines without # are in force, most of them with the defaults. Lines such as "# field: value" are examples.
"""
CHOSEN: Mapping[str, Any] = {"cluster_name": "gyrus", "name": "cpu", "instance_type": "m5.large"}
"""Values of the file that are no defaults."""
EXAMPLE_REGION = "us-east-1"
"""The region of the examples in the models."""


def initial_file(region: str | None, file: str) -> str:
    """Return the text of a first cluster.yaml, valid but for the region if there is none.

    ``file``: the name of the file, for its first line.
    """
    chosen = {**CHOSEN, "region": region or PLACEHOLDER}
    text = "\n".join(_fields(ClusterSpec, chosen, ""))
    return HEAD.format(file=file) + (_moved(text, region) if region else text) + "\n"


def _moved(text: str, region: str) -> str:
    """Return the text with the zones and ARNs of its examples in this region."""
    return text.replace(EXAMPLE_REGION, region).replace("arn:aws:", f"arn:{partition_of(region)}:")


def _fields(model: type[BaseModel], chosen: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not indent:
            yield ""
        yield from _comment(field, Fields(model).choices((name,)), indent)
        yield from _field(name, field, chosen, indent)


def _field(name: str, field: FieldInfo, chosen: Mapping[str, Any], indent: str) -> Iterator[str]:
    inner = model_in(field.annotation)
    if inner is NodeGroup:
        yield f"{indent}{name}:"
        yield from _entry(_fields(inner, chosen, f"{indent}    "), f"{indent}  - ")
    elif inner and isinstance(field.default, BaseModel):
        yield f"{indent}{name}:"
        yield from _fields(inner, chosen, f"{indent}  ")
    elif inner and not field.examples:
        yield f"{indent}# {name}:"
        for line in _fields(inner, chosen, "  "):
            yield f"{indent}# {line}"
    elif name in chosen:
        yield f"{indent}{name}: {flow(chosen[name])}"
    elif _has_value(field):
        yield f"{indent}{name}: {_written(field.default)}"
    else:
        yield from _example(name, cast("list[Any]", field.examples)[0], indent)


def _example(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, list) and isinstance(value[0], dict):
        yield f"{indent}# {name}:"
        yield from (f"{indent}#   - {flow(entry)}" for entry in cast("list[Any]", value))
    else:
        yield f"{indent}# {name}: {flow(value)}"


def _entry(lines: Iterator[str], dash: str) -> Iterator[str]:
    """Yield the lines of a list's only entry. Its first field has the dash before it."""
    begun = False
    for line in lines:
        if begun or line.lstrip().startswith("#"):
            yield line
        else:
            begun = True
            yield dash + line[len(dash) :]


def _comment(field: FieldInfo, choices: Sequence[str], indent: str) -> Iterator[str]:
    text = " ".join(str(field.description).split()).replace("``", "")
    if not all(choice in text for choice in choices):
        text += f" One of {', '.join(choices)}."
    start = f"{indent}# "
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _has_value(field: FieldInfo) -> bool:
    return not field.is_required() and field.default_factory is None and field.default not in (None, ())


def _written(value: Any) -> str:
    is_number = isinstance(value, str) and value[:1].isdigit() and "/" not in value
    return f'"{value}"' if is_number else flow(value)
