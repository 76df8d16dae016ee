"""A kubeconfig that cannot be used is refused with the cause and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gyrus.kubernetes.configuration import from_kubeconfig, in_cluster
from gyrus.kubernetes.errors import NoConfiguration

CONFIG: dict[str, Any] = {
    "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
        {"name": "two", "context": {"cluster": "c"}},
    ],
    "current-context": "one",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config"


def test_the_current_context_is_used(file: Path) -> None:
    file.write_text(yaml.safe_dump(CONFIG))
    connection = from_kubeconfig(path=file)
    assert (connection.address, connection.context, connection.namespace) == (
        "https://10.0.0.1:6443",
        "one",
        "n",
    )
    assert from_kubeconfig("two", file).namespace == "default"


def test_the_path_comes_from_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(yaml.safe_dump(CONFIG))
    monkeypatch.setenv("KUBECONFIG", f"{file}:/other")
    assert from_kubeconfig().context == "one"


def test_no_file(file: Path) -> None:
    with pytest.raises(NoConfiguration, match=f"There is no kubeconfig at {file}. Set KUBECONFIG"):
        from_kubeconfig(path=file)


def test_an_unknown_context(file: Path) -> None:
    file.write_text(yaml.safe_dump(CONFIG))
    with pytest.raises(NoConfiguration, match="has no context named three; it has one, two"):
        from_kubeconfig("three", file)


def test_no_current_context(file: Path) -> None:
    file.write_text(yaml.safe_dump({**CONFIG, "current-context": ""}))
    with pytest.raises(NoConfiguration, match="has no current context; choose one with --context: one, two"):
        from_kubeconfig(path=file)


@pytest.mark.parametrize("text", ["", "- a", "just words"])
def test_a_file_that_is_no_kubeconfig(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(NoConfiguration) as fault:
        from_kubeconfig(path=file)
    assert str(fault.value) == f"{file} is not a kubeconfig: it is empty, or no mapping"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"clusters": []}, "it names the cluster c, which the file lacks. Add it, or correct the name"),
        ({"users": []}, "it names the user u, which the file lacks. Add it, or correct the name"),
        (
            {"clusters": [{"name": "c", "cluster": {"server": "10.0.0.1:6443"}}]},
            "10.0.0.1:6443 is not the URL of a server. Write https://HOST:PORT",
        ),
        (
            {"users": [{"name": "u", "user": {"auth-provider": {"name": "oidc"}}}]},
            "gyrus does not know its auth-provider. Use a user with exec, a token or a certificate",
        ),
        (
            {"users": [{"name": "u", "user": {"client-certificate": "a.crt", "client-key": "a.key"}}]},
            "there is no file {folder}/a.crt. Create it, or correct its path",
        ),
        (
            {"clusters": [{"name": "c", "cluster": {"server": "https://a", "certificate-authority": "/no"}}]},
            "there is no file /no. Create it, or correct its path",
        ),
    ],
)
def test_a_context_that_cannot_be_used(file: Path, change: dict[str, Any], fault: str) -> None:
    file.write_text(yaml.safe_dump({**CONFIG, **change}))
    with pytest.raises(NoConfiguration) as refused:
        from_kubeconfig(path=file)
    fault = fault.replace("{folder}", str(file.parent))
    assert str(refused.value) == f"The context one of {file} cannot be used: {fault}"


@pytest.mark.parametrize("text", ["[", "clusters: 3", "{clusters: [], contexts: [{}]}"])
def test_an_unreadable_file(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(NoConfiguration, match="is not a readable kubeconfig"):
        from_kubeconfig(path=file)


def test_a_broken_certificate(file: Path) -> None:
    cluster = {"server": "https://10.0.0.1", "certificate-authority-data": "bm90IG9uZQ=="}
    file.write_text(yaml.safe_dump({**CONFIG, "clusters": [{"name": "c", "cluster": cluster}]}))
    with pytest.raises(NoConfiguration, match=r"The context one of .* cannot be used"):
        from_kubeconfig(path=file)


def test_outside_a_pod() -> None:
    with pytest.raises(NoConfiguration, match="does not run in a pod with a service account"):
        in_cluster()


def test_an_exec_plugin_of_the_stable_version_is_accepted(file: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "true"}
    file.write_text(yaml.safe_dump({**CONFIG, "users": [{"name": "u", "user": {"exec": plugin}}]}))
    assert from_kubeconfig(path=file).context == "one"
