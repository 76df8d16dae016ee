"""An installation with a state of its own that ends with it, and kubectl, for tests on a real cluster."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gyrus.contract.cluster import API_LABEL
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import PODS, Manifest
from support.cluster import connected
from support.command_line import Ran
from support.installation import Installation

KUBECTL = os.environ.get("KUBECTL", "kubectl")
needs_kubectl = pytest.mark.skipif(not shutil.which(KUBECTL), reason="no kubectl: set KUBECTL to its path")

HANDLER = """
VERSION = {version}


class Handler:
    def predict(self, payload):
        return {{"version": VERSION}}
"""


def specification(**changes: object) -> dict[str, Any]:
    """The fields of a small API, without its name."""
    return {
        "kind": "RealtimeAPI",
        "handler": {"path": "handler.py"},
        "max_concurrency": 8,
        "compute": {"cpu": "50m", "mem": "256Mi"},
        **changes,
    }


@dataclass(frozen=True)
class Installed:
    installation: Installation
    client: ClusterClient
    folder: Path
    environment: str

    @property
    def namespace(self) -> str:
        return self.installation.namespace

    async def run(self, *arguments: str | Path) -> Ran:
        """Run a command in this environment."""
        return await asyncio.to_thread(self.installation.run, "-e", self.environment, *arguments)

    async def gyrus(self, *arguments: str | Path) -> Any:
        """Run a command in this environment, and return its JSON. It must succeed."""
        ran = await self.run(*arguments, "-o", "json")
        assert ran.code == 0, ran.err
        return ran.json

    def project(self, name: str, version: int = 1, **changes: object) -> Path:
        """Write a project with this API."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "handler.py").write_text(HANDLER.format(version=version))
        (folder / "gyrus.yaml").write_text(yaml.safe_dump({"name": name, **specification(**changes)}))
        return folder

    async def ask(self, endpoint: str) -> Any:
        async with httpx.AsyncClient(timeout=60) as client:
            answered = await client.post(endpoint, json={})
        assert answered.status_code == 200, answered.text
        return answered.json()

    async def pods(self, api: str) -> list[Manifest]:
        """The API's pods that are not being deleted."""
        found = await self.client.list(PODS, self.namespace, labels=f"{API_LABEL}={api}")
        return [pod for pod in found.items if "deletionTimestamp" not in pod["metadata"]]

    async def kubectl(self, *arguments: str, manifest: Manifest | None = None) -> str:
        """Run kubectl in the namespace, with a manifest as its input. It must succeed. Returns its output."""
        process = await asyncio.create_subprocess_exec(
            *(KUBECTL, "--namespace", self.namespace, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(json.dumps(manifest).encode() if manifest else b"")
        assert process.returncode == 0, output.decode()
        return output.decode()


@asynccontextmanager
async def installed(sections: Mapping[str, object] = {}) -> AsyncGenerator[Installed]:
    """``sections``: further ones of the values file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installation = Installation(folder)
        async with connected() as client:
            try:
                made = await asyncio.to_thread(
                    installation.cluster,
                    "install",
                    "--values",
                    installation.values(sections=sections),
                    "-o",
                    "json",
                )
                assert made.code == 0, made.err
                yield Installed(installation, client, folder, made.json["environment"])
            finally:
                await asyncio.to_thread(installation.cluster, "uninstall", "-y")
