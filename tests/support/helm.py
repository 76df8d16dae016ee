"""Helm, named by the variable HELM or found on the PATH, and the project's chart."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gyrus.kubernetes.resources import Manifest

CHART = Path(__file__).parents[2] / "charts" / "gyrus"
HELM = os.environ.get("HELM") or shutil.which("helm") or ""

needs_helm = pytest.mark.skipif(
    not HELM, reason="no Helm: set HELM to the path of its program, or put it on the PATH"
)


def helm(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Helm. It must succeed with ``check``."""
    ran = subprocess.run(
        [HELM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=500
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def templated(
    folder: Path, values: Mapping[str, Any], namespace: str, *, version: tuple[int, int] | None = None
) -> list[Manifest]:
    """Return the objects that the chart has with these values. ``version``: that of Kubernetes."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    given = ("--kube-version", "{}.{}.0".format(*version)) if version else ()
    ran = helm("template", "gyrus", CHART, "--namespace", namespace, "--values", file, *given)
    return [manifest for manifest in yaml.safe_load_all(ran.stdout) if manifest]
