"""The command line against an emulated AWS, with the Kubernetes that KUBECONFIG names behind its EKS."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gyrus.kubernetes.client import ClusterClient
from support.aws.account import REGION, TESTS, AwsAccount, aws_account
from support.cluster import HOST_ADDRESS, PREFIX, RUNTIME_IMAGE
from support.command_line import Ran
from support.installation import IMAGE, SMALL

LONGEST = 500
"""Seconds for one command."""


@dataclass(frozen=True)
class ClusterOnAws:
    """One cluster, its files and its account."""

    account: AwsAccount
    folder: Path
    name: str

    @property
    def namespace(self) -> str:
        return self.name

    @property
    def environment(self) -> str:
        """The name of the operator's environment."""
        return f"{self.name}.{REGION}-{self.namespace}"

    async def give_credentials(self, client: ClusterClient) -> None:
        """Give the operator's pod the account's variables, in the place of EKS's pod identities."""
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "gyrus-objects", "namespace": self.namespace},
            "stringData": self.account.environment,
        }
        await client.apply(secret)

    @property
    def variables(self) -> Mapping[str, str]:
        own = {
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "GYRUS_HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        return os.environ | self.account.environment | own

    def write(
        self, groups: Sequence[Mapping[str, Any]], *, storage_class: str | None = None, **fields: Any
    ) -> Path:
        """Write cluster.yaml and its values file: Services on ports of the nodes, and little memory.

        ``storage_class``: that of the operator's volume (default: it has none).
        """
        kept = {"storage": "1Gi", "storage_class": storage_class} if storage_class else {"storage": "none"}
        values = {
            "images": {"gyrus": IMAGE, "runtime": RUNTIME_IMAGE},
            "gateway": {"service": "NodePort", "resources": SMALL},
            "operator": {**kept, "api": {"service": "NodePort"}, "resources": SMALL},
        }
        (self.folder / "values.yaml").write_text(yaml.safe_dump(values))
        file = self.folder / "cluster.yaml"
        described = {
            "cluster_name": self.name,
            "region": REGION,
            "node_groups": [dict(group) for group in groups],
            "gyrus": {"namespace": self.namespace, "values": "values.yaml"},
            **fields,
        }
        file.write_text(yaml.safe_dump(described, sort_keys=False))
        return file

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "gyrus.cli.main", *map(str, arguments)],
            env=self.variables,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str | Path) -> Ran:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=LONGEST)
        return Ran(process.returncode, out, err)


@contextmanager
def cluster_on_aws(folder: Path, **environment: str) -> Generator[ClusterOnAws]:
    """Run an account whose EKS clusters are the Kubernetes of KUBECONFIG."""
    name = f"{PREFIX}-{uuid.uuid4().hex[:6]}"
    endpoint = subprocess.Popen(
        [sys.executable, "-m", "support.aws.eks_endpoint", os.environ["KUBECONFIG"], name, str(folder)],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert endpoint.stdout is not None
        url = endpoint.stdout.readline().strip()
        authority = str(folder / "ca.crt")
        with aws_account(HOST_ADDRESS, EKS_ENDPOINT=url, EKS_AUTHORITY=authority, **environment) as account:
            yield ClusterOnAws(account, folder, name)
    finally:
        endpoint.kill()
        endpoint.wait()
