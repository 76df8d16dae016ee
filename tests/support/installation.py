"""The command line against an installation of a test's own on the cluster that KUBECONFIG names."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import yaml

from gyrus import __version__
from support.cluster import PREFIX, RUNTIME_IMAGE
from support.command_line import Ran

IMAGE = os.environ.get("GYRUS_TEST_OPERATOR_IMAGE", f"localhost/gyrus:{__version__}")
"""The image of operator and gateways, as ``scripts/images`` builds it."""
SMALL = {"cpu": "50m", "memory": "256Mi"}


class Installation:
    """The command line against an installation of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.namespace = f"{PREFIX}-{uuid.uuid4().hex[:6]}"
        self._folder = folder

    def values(
        self, image: str = IMAGE, *, storage_class: str | None = None, sections: Mapping[str, object] = {}
    ) -> Path:
        """Write a values file: Services on ports of the nodes, and little of their memory.

        ``sections``: others of the file.
        """
        file = self._folder / "values.yaml"
        kept = {"storage": "1Gi", "storage_class": storage_class} if storage_class else {"storage": "none"}
        settings = {
            "images": {"gyrus": image, "runtime": RUNTIME_IMAGE},
            "gateway": {"service": "NodePort", "resources": SMALL},
            "operator": {**kept, "api": {"service": "NodePort"}, "resources": SMALL},
            **sections,
        }
        file.write_text(yaml.safe_dump(settings))
        return file

    def run(self, *arguments: str | Path) -> Ran:
        home = {"GYRUS_HOME": str(self._folder / "home")}
        command = [sys.executable, "-m", "gyrus.cli.main", *map(str, arguments)]
        ran = subprocess.run(
            command, env={**os.environ, **home}, capture_output=True, text=True, check=False, timeout=500
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def cluster(self, *arguments: str | Path) -> Ran:
        return self.run("cluster", *arguments, "--namespace", self.namespace)
