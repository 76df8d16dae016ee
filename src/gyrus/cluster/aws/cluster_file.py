"""Reading cluster.yaml into a cluster's specification, or into all of its faults with their places."""

from __future__ import annotations

from pathlib import Path as FilePath

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.spec.faults import Path
from gyrus.spec.model_file import ModelFile

FILE = "cluster.yaml"

_REMOVE = "remove the line"
_CORTEX = {
    "provider": ("is not needed: this is a cluster on AWS", _REMOVE),
    "telemetry": ("is not needed: gyrus sends no telemetry", _REMOVE),
    "bucket": ("cannot be chosen: each cluster has a bucket of its own", _REMOVE),
    "namespace": ("is a field of another section", "it belongs at gyrus.namespace"),
    "istio_namespace": ("is not needed: gyrus has no Istio", _REMOVE),
    "store": ("is a field of another section", "it belongs at gyrus.store"),
}
"""Fields of earlier files of Cortex, and of sections, at the top."""


def load_cluster(path: FilePath) -> ClusterSpec:
    """Read a cluster.yaml. Raises SpecError, and NoSpecification if there is none."""
    return CLUSTER.load(path)


def parse_cluster(text: str, file: str) -> ClusterSpec:
    """Check the text of a cluster.yaml, which the faults call ``file``. Raises SpecError."""
    return CLUSTER.parse(text, file)


def _is_text(path: Path) -> bool:
    return path in (("kubernetes_version",), ("cluster_name",)) or path[:1] == ("tags",)


def _elsewhere(name: str) -> tuple[str, str] | None:
    if name.startswith("image_"):
        return "is not needed: gyrus has two images of its own", _REMOVE
    if name in NodeGroup.model_fields:
        return "is a field of a node group", f"it belongs at node_groups[0].{name}"
    return _CORTEX.get(name)


CLUSTER = ModelFile(
    model=ClusterSpec,
    example="begin with region: us-east-1",
    missing="write one with: gyrus cluster init",
    is_text=_is_text,
    elsewhere=_elsewhere,
)
