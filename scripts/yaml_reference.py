"""Write the references of gyrus.yaml and cluster.yaml from the models' own descriptions.

scripts/yaml_reference.py            writes docs/guides/yaml-reference.md and docs/guides/cluster-yaml.md
scripts/yaml_reference.py --check    fails if one of them is not current
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyrus.cluster.aws.schema import ROOT as CLUSTER
from gyrus.cluster.aws.schema import cluster_schema
from gyrus.spec.kinds import KINDS
from gyrus.spec.schema import json_schema

ROOT = Path(__file__).resolve().parent.parent
GUIDES = ROOT / "docs" / "guides"

Json = dict[str, Any]

HEAD = """\
# YAML reference

<!-- Written by scripts/yaml_reference.py from the specification in src/gyrus/spec. Do not edit it here. -->

`gyrus.yaml` is a list of APIs; a single API needs no list. Paths in it are relative to the file, and the
whole folder of the file is uploaded with it (see [deploy a model](deploy-a-model.md)). An unknown field, a
value of the wrong type and a contradiction are errors, which name `file:line:column`, the cause and the
remedy. `gyrus validate` checks the file without deploying. `gyrus schema` prints this reference as a JSON
Schema, for editors.

```yaml
- name: iris
  handler: {path: handler.py, config: {threshold: 0.5}}
  max_concurrency: 4
  timeout: 10s
  compute: {cpu: 200m, mem: 512Mi}
  autoscaling: {min_replicas: 2, max_replicas: 4}
- name: chat
  process: {command: [vllm, serve, my-model, --port, $PORT], ready: {path: /health}}
```

Durations are written as `500ms`, `10s`, `5m`, `1h`, or in combination (`1m30s`); memory and cores as in
Kubernetes.

Scalars are those of YAML 1.2: `1e-3`, `1E5`, `.5`, `0o17` and `0x1F` are numbers; `12:30`, `1,000` and
`2026-01-31` are text. What versions of YAML read in different ways is an error with the remedy:
`1_000`, `017`, `0b1`, and in `config` also `yes`, `no`, `on` and `off` without quotes. Values of `env` and
words of `command` are always text, as they are written. Control characters and halves of surrogate pairs
are refused everywhere.

On one machine, `compute.cpu` is a share for planning: replicas wait until that much is free, but may use
more. `compute.mem` and `compute.gpu` also limit a replica.
"""

CLUSTER_HEAD = """\
# cluster.yaml

<!-- Written by scripts/yaml_reference.py from the models in src/gyrus/cluster/aws. Do not edit it here. -->

`cluster.yaml` describes a cluster on AWS (see [gyrus on AWS](aws.md) for what reads it so far).
`gyrus cluster init` writes one with every field, `gyrus cluster validate` checks it without AWS, and
`gyrus schema --cluster` prints this reference as a JSON Schema, for editors. Names, ranges and defaults are
those of Cortex 0.42 where Cortex had the field ([differences](../decisions/0077-cluster-yaml.md)).

```yaml
cluster_name: gyrus
region: us-east-1
node_groups:
  - name: cpu-spot
    instance_type: m5.large
    max_instances: 10
    priority: 10
    spot: true
    spot_config: {instance_distribution: [m5.large, m5.xlarge], on_demand_base_capacity: 1}
  - name: gpu
    instance_type: g5.xlarge
    min_instances: 0
```

An unknown field, a value of the wrong type and a contradiction between fields are errors, which name
`file:line:column`, the cause and the remedy. Only AWS knows whether an instance type is offered in a region,
whether quotas suffice, and whether subnets, certificates and policies exist: these are not checked here.

- **Instance types.** gyrus has a table of common families (`src/gyrus/cluster/aws/instance_types.csv`). A
  size that one of these families does not have is an error, and so are types with ARM processors, since
  images are built for amd64. A well-formed type of another family is accepted, and `gyrus cluster validate`
  names it.
- **Types of a spot group** need at least the vCPUs, memory and GPUs of `instance_type`, as far as the table
  has both.
- **Volumes.** `instance_volume_iops` is for gp3 and io1, `instance_volume_throughput` for gp3 alone; st1 and
  sc1 have at least 125 GiB.
- **Networks.** `subnets` take the place of `availability_zones`, and have no `nat_gateway`. New private
  subnets need one.
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """One document: what stands first, the schema, and its roots with their titles.

    The other definitions have their place in the YAML as their title.
    """

    target: Path
    head: str
    schema: Json
    roots: dict[str, str]


def references() -> list[Reference]:
    kinds = {kind: f"A `{kind}`" for kind in KINDS} | {"RealtimeAPI": "An API"}
    return [
        Reference(GUIDES / "yaml-reference.md", HEAD, json_schema(), kinds),
        Reference(GUIDES / "cluster-yaml.md", CLUSTER_HEAD, cluster_schema(), {CLUSTER: "A cluster"}),
    ]


def main(arguments: list[str]) -> int:
    old = [reference for reference in references() if not _is_current(reference)]
    for reference in old:
        if arguments != ["--check"]:
            reference.target.write_text(rendered(reference), "utf-8")
            continue
        remedy = "write it again: .venv/bin/python scripts/yaml_reference.py"
        print(f"{reference.target.relative_to(ROOT)} is not current; {remedy}")  # noqa: T201
    return 1 if old and arguments == ["--check"] else 0


def _is_current(reference: Reference) -> bool:
    return reference.target.exists() and reference.target.read_text("utf-8") == rendered(reference)


def rendered(reference: Reference) -> str:
    definitions: dict[str, Json] = reference.schema["$defs"]
    places: dict[str, str] = {}
    for root, title in reference.roots.items():
        places |= _places(root, definitions, title)
    sections = (_section(place, name, definitions, places) for name, place in places.items())
    return "\n".join([reference.head, *sections])


def _places(root: str, definitions: dict[str, Json], title: str) -> dict[str, str]:
    """Return the title of each definition, in their order in the YAML."""
    found = {root: title}

    def visit(name: str, place: str) -> None:
        for field, described in definitions[name].get("properties", {}).items():
            entries = _reference(described.get("items", {}))
            inner = _reference(described) or entries
            if inner and inner not in found and "properties" in definitions[inner]:
                path = f"{place}.{field}".removeprefix(".") + ("[]" if entries else "")
                found[inner] = f"`{path}`"
                visit(inner, path)

    visit(root, "")
    return found


def _section(title: str, name: str, definitions: dict[str, Json], places: dict[str, str]) -> str:
    definition = definitions[name]
    required = definition.get("required", ())
    rows = (
        f"| `{name}` | {_kind(field, places)} | {_default(name, field, required)} "
        f"| {_meaning(field, definitions)} |"
        for name, field in definition["properties"].items()
    )
    table = ["| Field | Value | Default | Meaning |", "|---|---|---|---|", *rows]
    return "\n".join([f"## {title}", "", _plain(definition.get("description", "")), "", *table, ""])


def _kind(field: Json, places: dict[str, str]) -> str:
    if (inner := _reference(field)) in places:
        title = places[inner]
        return f"[{title}](#{re.sub(r'[^a-z_ -]', '', title.lower()).replace(' ', '-')})"
    if _reference(field.get("items", {})) in places:
        return f"list of {_kind(field['items'], places)}"
    if choices := field.get("anyOf"):
        return " or ".join(_kind(choice, places) for choice in choices)
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("pattern") and field.get("examples"):
        shown = ", ".join(f"`{example}`" for example in field["examples"])
        return f"{_bounds(field).removeprefix(', ')} such as {shown}".strip()
    return _simple(field) + _bounds(field)


def _simple(field: Json) -> str:
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true` or `false`",
        "array": "list of texts",
        "object": "map",
        "null": "`null`",
    }
    return words[field["type"]]


def _bounds(field: Json) -> str:
    phrases = {
        "minimum": "from {:,}",
        "exclusiveMinimum": "above {:,}",
        "maximum": "to {:,}",
        "exclusiveMaximum": "below {:,}",
        "maxLength": "at most {:,} characters",
    }
    bounds = [form.format(field[key]) for key, form in phrases.items() if key in field]
    return f", {' '.join(bounds)}" if bounds else ""


def _default(name: str, field: Json, required: list[str]) -> str:
    if name in required:
        return "**required**"
    if "default" not in field:
        return ""
    value = field["default"]
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _meaning(field: Json, definitions: dict[str, Json]) -> str:
    """Return a field's description; that of its own section if the field has none."""
    described = field.get("description") or definitions.get(_reference(field), {}).get("description", "")
    text = _plain(described)
    shown = "".join(f" Example: `{json.dumps(example)}`." for example in list(_examples(field))[:1])
    return text + shown


def _examples(field: Json) -> Iterator[Any]:
    """Yield the examples that the column of values does not show."""
    if not field.get("pattern"):
        yield from (example for example in field.get("examples", ()) if not isinstance(example, str))


def _reference(field: Json) -> str:
    return str(field.get("$ref", "")).rpartition("/")[2]


def _plain(text: str) -> str:
    """Convert a docstring's one or two sentences to Markdown."""
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
