"""Reading a values file into settings, or into all of its faults with their places."""

from __future__ import annotations

from pathlib import Path

from gyrus.cluster.settings import ClusterSettings
from gyrus.spec.model_file import ModelFile

VALUES = ModelFile(model=ClusterSettings, example="write for example gateway: {replicas: 2}")


def load_values(path: Path) -> ClusterSettings:
    """Read a values file. Raises SpecError."""
    return VALUES.load(path)


def parse_values(text: str, file: str) -> ClusterSettings:
    """Check the text of a values file, which the faults call ``file``. Raises SpecError."""
    return VALUES.parse(text, file)
