"""A cluster that cannot be asked: no credentials, another server, no answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.configuration import from_kubeconfig
from gyrus.kubernetes.errors import KubernetesError, NoCredentials, UnprovenCluster, Unreachable
from support.tls import Authority

BY_HAND = "Run it by hand to see why, or choose another context with --context"


def kubeconfig(file: Path, user: dict[str, Any], **cluster: str) -> Path:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "one",
    }
    file.write_text(yaml.safe_dump(document))
    return file


def plugin(command: str, *arguments: str, **fields: str) -> dict[str, Any]:
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": command, "args": [*arguments], **fields}}


async def fault(file: Path) -> KubernetesError:
    async with ClusterClient(from_kubeconfig(path=file)) as client:
        with pytest.raises(KubernetesError) as raised:
            await client.server_version()
    return raised.value


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (plugin("not-there"), "its program not-there is not installed. Install it"),
        (
            plugin("not-there", installHint="pip install it\n"),
            "its program not-there is not installed. Install it: pip install it",
        ),
        (
            plugin("sh", "-c", "echo 'The token has expired.' >&2; exit 3"),
            f"its program sh failed: The token has expired. {BY_HAND}",
        ),
        (plugin("echo", "hello"), f"its program echo printed no credentials. {BY_HAND}"),
        (plugin("echo", "{}"), f"its program echo printed no credentials. {BY_HAND}"),
    ],
)
@pytest.mark.processes
async def test_no_credentials(user: dict[str, Any], message: str, tmp_path: Path) -> None:
    raised = await fault(kubeconfig(tmp_path / "config", user))
    assert type(raised) is NoCredentials
    assert str(raised) == f"The user of the context one has no credentials: {message}"


async def test_a_file_with_a_token_that_is_gone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    file = kubeconfig(tmp_path / "config", {"tokenFile": str(token)})
    async with ClusterClient(from_kubeconfig(path=file)) as client:
        token.unlink()
        with pytest.raises(NoCredentials) as raised:
            await client.server_version()
    assert str(raised.value) == (
        f"The user of the context one has no credentials: Token file {token} not found. Renew the file, or "
        "name another one as the user's tokenFile"
    )


async def test_another_server_than_the_cluster(tmp_path: Path) -> None:
    own, other = Authority(), Authority()
    (tmp_path / "ca.crt").write_text(other.certificate)
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own.server("127.0.0.1")) as listener:
        address = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        authority = {"certificate-authority": "ca.crt"}
        raised = await fault(kubeconfig(tmp_path / "config", {"token": "t"}, server=address, **authority))
    assert type(raised) is UnprovenCluster
    assert str(raised) == (
        f"The server at {address} did not prove that it is the cluster: unable to get local issuer "
        "certificate. Nothing was sent to it. Check certificate-authority-data of the cluster in the "
        "kubeconfig, and its address"
    )
    assert asked == []


async def test_no_answer(tmp_path: Path) -> None:
    raised = await fault(kubeconfig(tmp_path / "config", {"token": "t"}))
    assert type(raised) is Unreachable
    assert str(raised) == (
        "The cluster at https://127.0.0.1:1 does not answer: All connection attempts failed. Check that it "
        "runs, and that the kubeconfig names its address"
    )
