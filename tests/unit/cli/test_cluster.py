"""The commands of gyrus cluster, as far as they need no cluster; tests/kubernetes has the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gyrus.cli.cluster import environment_name, forget_operator, remember_operator
from gyrus.client.environments import Environments
from gyrus.cluster.overview import Credentials
from gyrus.contract.home import Home
from support.command_line import Gyrus

KUBECONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "staging",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "staging", "context": {"cluster": "c", "user": "u"}}],
}


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig of a cluster that does not answer."""
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(KUBECONFIG))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


def test_a_dry_run_needs_no_cluster(gyrus: Gyrus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    ran = gyrus("cluster", "install", "--dry-run", "--namespace", "ml")
    assert ran.code == 0
    manifests = list(yaml.safe_load_all(ran.out))
    assert [each["kind"] for each in manifests[:2]] == ["Namespace", "CustomResourceDefinition"]
    assert "Secret" not in {each["kind"] for each in manifests}
    assert gyrus("cluster", "install", "--dry-run", "--namespace", "ml", "-o", "json").json == manifests


def test_values_change_the_manifests(gyrus: Gyrus, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("gateway: {replicas: 5}\n")
    manifests = gyrus("cluster", "install", "--dry-run", "--values", values, "-o", "json").json
    [gateways] = [
        each
        for each in manifests
        if each["kind"] == "Deployment" and each["metadata"]["name"] == "gyrus-gateway"
    ]
    assert gateways["spec"]["replicas"] == 5


def test_a_bad_values_file(gyrus: Gyrus, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("gateway:\n  replica: 5\n")
    ran = gyrus("cluster", "install", "--values", values)
    assert ran.code == 2
    assert ran.err == (
        f"error: The values file {values} has 1 fault.\n\n"
        f'  {values}:2:3: gateway.replica: unknown field; did you mean "replicas"?\n'
    )
    ran = gyrus("cluster", "install", "--values", tmp_path / "none.yaml")
    assert ran.code == 2
    assert ran.err.startswith(f"error: There is no file {tmp_path / 'none.yaml'}.\n")


@pytest.mark.parametrize("command", ["install", "connect", "info", "health", "uninstall"])
def test_no_cluster(command: str, gyrus: Gyrus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    ran = gyrus("cluster", command)
    assert ran.code == 2
    assert ran.err.startswith("error: There is no kubeconfig at /nowhere/kubeconfig. Set KUBECONFIG")


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("command", ["install", "connect", "info", "health", "uninstall"])
def test_a_cluster_that_does_not_answer(command: str, gyrus: Gyrus) -> None:
    ran = gyrus("cluster", command)
    assert ran.code == 1
    assert ran.err.startswith("error: The cluster at http://127.0.0.1:1 does not answer: ")


def test_an_unknown_context(gyrus: Gyrus, kubeconfig: Path) -> None:
    ran = gyrus("cluster", "info", "--context", "prod")
    assert ran.code == 2
    assert ran.err == f"error: {kubeconfig} has no context named prod; it has staging.\n"


def test_a_bad_namespace(gyrus: Gyrus) -> None:
    ran = gyrus("cluster", "install", "--namespace", "A_")
    assert ran.code == 2
    assert "'A_' is not the name of a namespace: write lower-case letters, digits and -." in ran.err


def test_an_address_of_the_operator_that_proves_nothing(gyrus: Gyrus) -> None:
    ran = gyrus("cluster", "install", "--operator-url", "http://10.0.0.1:8443")
    assert ran.code == 2
    assert ran.err.startswith("error: http://10.0.0.1:8443 is refused: over plain HTTP")


def test_the_operator_is_known_by_its_context(tmp_path: Path) -> None:
    assert environment_name("staging", "gyrus") == "staging"
    assert environment_name("local", "gyrus") == "local-cluster"
    home = Home(tmp_path / "home")
    name = environment_name("arn:aws:eks:eu:1:cluster/a", "ml")
    remember_operator(home, name, "https://10.0.0.1:8443", Credentials(token="t", certificate="pem"))
    found = Environments.load(home).resolve(name, home)
    assert (found.url, found.token) == ("https://10.0.0.1:8443", "t")
    assert found.certificate is not None
    assert found.certificate.read_text() == "pem"
    assert forget_operator(home, name)
    assert not found.certificate.exists()
    assert not forget_operator(home, name)


@pytest.mark.processes
def test_the_command_line_imports_no_kubernetes_before_it_needs_it() -> None:
    code = (
        "import sys; from gyrus.cli.entry import run; run(['cluster', 'install', '--help']); "
        "print(sorted(m for m in sys.modules if m.startswith(('lightkube', 'httpx', 'gyrus.cluster'))))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
