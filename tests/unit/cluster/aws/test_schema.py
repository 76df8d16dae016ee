"""The JSON Schema of cluster.yaml."""

from __future__ import annotations

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.schema import cluster_schema


def test_a_file_is_one_cluster() -> None:
    schema = cluster_schema()
    cluster = schema["$defs"]["ClusterSpec"]
    assert schema["$ref"] == "#/$defs/ClusterSpec"
    assert sorted(cluster["required"]) == ["node_groups", "region"]
    assert set(cluster["properties"]) == set(ClusterSpec.model_fields)
    assert cluster["properties"]["nat_gateway"]["enum"] == ["none", "single", "highly_available"]
    assert cluster["properties"]["kubernetes_version"]["type"] == ["string", "number"]
    assert schema["$defs"]["NodeGroup"]["properties"]["priority"]["maximum"] == 100


def test_every_field_is_described() -> None:
    definitions = cluster_schema()["$defs"]
    for name, definition in definitions.items():
        for field, described in definition["properties"].items():
            section = definitions.get(described.get("$ref", "").removeprefix("#/$defs/"), {})
            assert described.get("description") or section.get("description"), f"{name}.{field}"
