"""The commands of gyrus cluster, as far as they need no cluster; tests/kubernetes has the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gyrus.cli.cluster import environment_name, forget_operator, reachable_url, remember_operator
from gyrus.client.environments import ClusterPlace, EnvironmentEntry, Environments
from gyrus.cluster.addresses import ServiceAddress
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
    place = ClusterPlace("arn:aws:eks:eu:1:cluster/a", "ml")
    credentials = Credentials(token="t", authority="pem", endpoint_authority="other pem")
    name = remember_operator(home, place, "https://10.0.0.1:8443", credentials)
    assert name == "arn:aws:eks:eu:1:cluster/a-ml"
    found = Environments.load(home).resolve(name, home)
    assert (found.url, found.token) == ("https://10.0.0.1:8443", "t")
    assert found.authority is not None
    assert found.endpoint_authority is not None
    assert (found.authority.read_text(), found.endpoint_authority.read_text()) == ("pem", "other pem")
    assert forget_operator(home, name)
    assert not found.authority.exists()
    assert not found.endpoint_authority.exists()
    assert not forget_operator(home, name)


def test_a_tunnel_stays_known(tmp_path: Path) -> None:
    """A later run of install or connect does not replace it by an address inside the cluster."""
    home, place = Home(tmp_path / "home"), ClusterPlace("staging", "gyrus")
    inside, outside = ServiceAddress("10.96.0.9", 8443, False), ServiceAddress("203.0.113.8", 8443, True)
    assert reachable_url(home, place, inside, None) == "https://10.96.0.9:8443"
    tunnel = reachable_url(home, place, inside, "https://127.0.0.1:8443")
    remember_operator(home, place, tunnel, Credentials(token="t", authority="pem"))
    assert reachable_url(home, place, inside, None) == "https://127.0.0.1:8443"
    assert reachable_url(home, place, outside, None) == "https://203.0.113.8:8443"


@pytest.mark.parametrize(
    ("url", "namespace", "remedy"),
    [
        (
            "https://203.0.113.8:8443",
            "gyrus",
            "Check the operator with: gyrus cluster health --context staging",
        ),
        (
            "https://127.0.0.1:9443",
            "ml",
            "Check that the tunnel to it runs: kubectl --context staging --namespace ml port-forward "
            "service/gyrus-operator 9443:8443\n"
            "Check the operator with: gyrus cluster health --context staging --namespace ml",
        ),
    ],
)
def test_what_to_do_about_an_installation_that_does_not_answer(
    url: str, namespace: str, remedy: str, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    name = remember_operator(
        home, ClusterPlace("staging", namespace), url, Credentials(token="t", authority="pem")
    )
    found = Environments.load(home).resolve(name, home)
    options = "--context staging" + (" --namespace ml" if namespace == "ml" else "")
    assert found.remedy == remedy
    assert found.token_remedy == (
        f"Get the installation's present token with: gyrus cluster connect {options}"
    )
    assert found.certificate_remedy == (
        f"Get the installation's present certificate with: gyrus cluster connect {options}"
    )


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (EnvironmentEntry(url="https://a:1", token="t"), "--context NAME"),
        (
            EnvironmentEntry(url="https://a:1", token="t", cluster=ClusterPlace("eks a", "ml")),
            "--context 'eks a' --namespace ml",
        ),
    ],
)
def test_a_command_on_a_cluster_takes_no_environment(
    entry: EnvironmentEntry, options: str, gyrus: Gyrus, tmp_path: Path
) -> None:
    """It would act on the current context, whatever the environment is."""
    home = Home.default()
    Environments.load(home).added("prod", entry).save(home)
    for arguments in (("-e", "prod", "cluster", "uninstall"), ("cluster", "health", "-e", "prod")):
        ran = gyrus(*arguments)
        assert ran.code == 2
        assert ran.err == (
            "error: gyrus cluster acts on the cluster of a kubeconfig's context, not on an environment.\n"
            f"  Write {options} instead of -e prod.\n"
        )


@pytest.mark.processes
def test_the_command_line_imports_no_kubernetes_before_it_needs_it() -> None:
    code = (
        "import sys; from gyrus.cli.entry import run; run(['cluster', 'install', '--help']); "
        "print(sorted(m for m in sys.modules if m.startswith(('lightkube', 'httpx', 'gyrus.cluster'))))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
