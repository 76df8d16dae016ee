"""Certificates on a real cluster: HTTPS of the endpoints, and renewals of all certificates under load.

The images must be on the nodes: see ``tests/support/installation.py``.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
import yaml

from gyrus.cluster import secrets
from gyrus.cluster.certificates import KeyPair, issue, new_authority
from gyrus.cluster.manifests.objects import Installation as Manifests
from gyrus.cluster.overview import overview
from gyrus.contract import cluster as names
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import NAMESPACES, NODES, PODS, Manifest, name_of
from support.cluster import connected, eventually
from support.installation import Installation
from support.load import Load

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

SECRET = "models-tls"
HANDLER = """
class Handler:
    def predict(self, payload):
        return {"number": payload["number"] + 1}
"""
SPEC = """
name: tiny
kind: RealtimeAPI
handler: {path: handler.py}
max_concurrency: 8
compute: {cpu: 50m, mem: 256Mi}
"""
ROLES = f"{names.ROLE_LABEL} in ({names.OPERATOR_ROLE},{names.GATEWAY_ROLE})"
OLD = timedelta(days=700)
"""The age of certificates that are due."""


@dataclass
class Platform:
    """An installation with HTTPS and one API."""

    installation: Installation
    client: ClusterClient
    authority: KeyPair
    """That of the endpoints' certificate."""
    hosts: list[str]
    """Addresses of the nodes."""
    http_port: int
    environment: str = ""
    endpoint: str = ""

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.certificate)

    @property
    def namespace(self) -> str:
        return self.installation.namespace

    async def gyrus(self, *arguments: str | Path) -> Any:
        """Run a command in this environment, and return its JSON. It must succeed."""
        ran = await asyncio.to_thread(self.installation.run, "-e", self.environment, *arguments, "-o", "json")
        assert ran.code == 0, ran.err
        return ran.json

    def secret(self, pair: KeyPair) -> Manifest:
        """The Secret of the endpoints' certificate, as cert-manager writes it."""
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": self.authority.certificate}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": SECRET, "namespace": self.namespace},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }

    async def write_own(self, data: Mapping[str, secrets.SecretData]) -> None:
        """Replace Secrets of the installation."""
        for manifest in secrets.manifests(Manifests(self.namespace), data):
            await self.client.apply(manifest)

    async def pods(self) -> list[Manifest]:
        return list((await self.client.list(PODS, self.namespace, labels=ROLES)).items)

    async def bring_secrets(self) -> None:
        """Let the kubelets look at the Secrets now: they do so once a minute, and when a pod changes."""
        for pod in await self.pods():
            note = {"metadata": {"annotations": {"test/at": str(time.time())}}}
            await self.client.patch(PODS, name_of(pod), note, self.namespace)

    async def shows(self, url: str, certificate: str) -> bool:
        """Return True if a new connection gets this certificate."""
        await self.bring_secrets()
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return await asyncio.to_thread(shown, parts.hostname, parts.port) == certificate


def shown(host: str, port: int) -> str:
    return ssl.get_server_certificate((host, port))


def identity(pod: Manifest) -> tuple[str, int]:
    """The pod and how often its container was started again."""
    return pod["metadata"]["uid"], sum(each["restartCount"] for each in pod["status"]["containerStatuses"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    async with connected() as client:
        nodes = (await client.list(NODES)).items
        hosts = [
            each["address"]
            for node in nodes
            for each in node["status"]["addresses"]
            if each["type"] == "InternalIP"
        ]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "handler.py").write_text(HANDLER)
            (folder / "gyrus.yaml").write_text(SPEC)
            first = random.randrange(30000, 32766)
            authority = new_authority("authority of the test", datetime.now(UTC))
            made = Platform(Installation(folder), client, authority, hosts, first)
            try:
                await client.create(
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}}
                )
                await client.create(made.secret(issue(authority, hosts, datetime.now(UTC))))
                values = with_tls(made.installation.values(), first)
                installed = await asyncio.to_thread(
                    made.installation.cluster, "install", "--values", values, "-o", "json"
                )
                assert installed.code == 0, installed.err
                made.environment = installed.json["environment"]
                await made.gyrus("deploy", folder, "-y")
                made.endpoint = (await made.gyrus("get", "tiny"))["endpoint"]
                yield made
            finally:
                await asyncio.to_thread(made.installation.cluster, "uninstall", "-y")
                await client.delete(NAMESPACES, made.namespace)


def with_tls(values: Path, first: int) -> Path:
    """Add HTTPS, at ports of the nodes from this one on."""
    settings = yaml.safe_load(values.read_text())
    settings["gateway"] |= {"node_port": first, "tls": {"secret": SECRET, "node_port": first + 1}}
    values.write_text(yaml.safe_dump(settings))
    return values


async def test_endpoints_have_https_and_plain_requests_are_redirected(platform: Platform) -> None:
    assert platform.endpoint == f"https://{platform.hosts[0]}:{platform.http_port + 1}/tiny"
    assert await platform.gyrus("predict", "tiny", '{"number": 6}') == {"number": 7}
    async with httpx.AsyncClient(verify=platform.tls, timeout=60) as client:
        plain = f"http://{platform.hosts[0]}:{platform.http_port}/tiny"
        redirected = await client.post(plain, json={"number": 1})
        assert (redirected.status_code, redirected.headers["location"]) == (308, platform.endpoint)
        answered = await client.post(plain, json={"number": 1}, follow_redirects=True)
        assert answered.json() == {"number": 2}


async def test_all_certificates_are_renewed_under_load(platform: Platform) -> None:
    """The operator renews those of the platform once they are due, the owner that of the endpoints."""
    now = datetime.now(UTC)
    before = [identity(pod) for pod in await platform.pods()]
    own = await secrets.present(platform.client, platform.namespace)
    authority = own[names.AUTHORITY]
    signer = KeyPair(authority[secrets.CERTIFICATE], authority[secrets.KEY])
    endpoints = issue(platform.authority, platform.hosts, now)
    due = {
        name: {**own[name], secrets.CERTIFICATE: pair.certificate, secrets.KEY: pair.key}
        for name, hosts in secrets.hosts_of(platform.namespace).items()
        for pair in [issue(signer, hosts, now - OLD)]
    }

    async def renewed() -> bool:
        found = await secrets.present(platform.client, platform.namespace, names.CERTIFIED)
        return all(
            found[name][secrets.CERTIFICATE]
            not in (due[name][secrets.CERTIFICATE], own[name][secrets.CERTIFICATE])
            for name in due
        )

    async with Load(platform.endpoint, 50, body=b'{"number":7}', tls=platform.tls) as load:
        await platform.client.apply(platform.secret(endpoints))
        await platform.write_own(due)
        await eventually(renewed)
        await eventually(lambda: platform.shows(platform.endpoint, endpoints.certificate))
        found = await secrets.present(platform.client, platform.namespace)
        operator = (await overview(platform.client, platform.namespace)).operator.url("https")
        renewed_operator = found[names.OPERATOR_TLS][secrets.CERTIFICATE]
        await eventually(lambda: platform.shows(operator, renewed_operator))
        await platform.gyrus("get", "tiny")
    print(f"certificates renewed: {load.result}")  # noqa: T201
    assert load.result.failed == (), str(load.result)
    assert [identity(pod) for pod in await platform.pods()] == before, "no pod starts again"
