"""The JSON Schema of cluster.yaml, for editors."""

from __future__ import annotations

from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.spec.schema import DIALECT, definitions_of

ROOT = "ClusterSpec"


def cluster_schema() -> dict[str, Any]:
    """Return the schema of a whole file, which is one cluster."""
    return {
        "$schema": DIALECT,
        "title": "cluster.yaml",
        "description": "A cluster on AWS.",
        "$ref": f"#/$defs/{ROOT}",
        "$defs": definitions_of(ROOT, ClusterSpec),
    }
