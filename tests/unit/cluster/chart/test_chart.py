"""The chart has the objects of ``gyrus cluster install``, whatever the values."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.cluster.chart.files import chart_files
from gyrus.cluster.chart.templates import CONDITIONS, PARTS, rendered
from gyrus.cluster.chart.values import REFUSED, default_values
from gyrus.cluster.manifests import chart_jobs
from gyrus.cluster.manifests.installation import platform, services
from gyrus.cluster.manifests.objects import HELM, MANAGED_BY, Installation
from gyrus.cluster.settings import ClusterSettings
from gyrus.cluster.values import parse_values
from gyrus.contract.cluster import DATA
from gyrus.kubernetes.resources import Manifest, name_of
from support.helm import CHART, helm, needs_helm, templated

ROOT = Path(__file__).parents[4]
NODES: dict[str, Any] = {
    "region": "eu-west-1",
    "cluster": "vision",
    "notices": "https://sqs.eu-west-1.amazonaws.com/123456789012/gyrus-vision",
    "groups": [{"name": "cpu", "instance_type": "m5.large", "spot": True, "max_instances": 3}],
}
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "node ports": {
        "gateway": {"service": "NodePort", "node_port": 30080, "replicas": 3, "annotations": {"a": 'b"c'}},
        "operator": {"api": {"service": "NodePort", "node_port": 30443}, "storage": "none"},
        "images": {
            "pull_secrets": ["registry", "mirror"],
            "gyrus": "r.example.com/g:1",
            "pull_policy": "Always",
        },
        "network_policies": False,
    },
    "free node ports": {
        "gateway": {"service": "NodePort", "port": 8080},
        "operator": {"api": {"service": "NodePort"}, "resources": {"cpu": "1", "memory": "1Gi"}},
    },
    "storage class": {"operator": {"storage": "1Gi", "storage_class": "fast"}, "pod_monitor": True},
    "store": {"operator": {"store": {"secret": "gyrus-store"}, "api": {"service": "LoadBalancer"}}},
    "CloudWatch": {"cloudwatch": {"cluster": "models", "region": "eu-west-1"}},
    "node cache": {"node_cache": {"size": "1Gi"}, "pod_security": "privileged"},
    "store with a key": {"operator": {"store": {"secret": "db", "key": "uri"}, "storage": "none"}},
    "class without storage": {"operator": {"storage": "none", "storage_class": "fast"}},
    "HTTPS": {"gateway": {"tls": {"secret": "models-tls"}}},
    "HTTPS beside HTTP": {
        "gateway": {"service": "NodePort", "tls": {"secret": "models-tls", "http": "serve", "port": 8443}},
    },
    "HTTPS at a port of nodes": {
        "gateway": {"service": "NodePort", "tls": {"secret": "models-tls", "node_port": 30443}},
    },
    "HTTPS at a URL": {
        "gateway": {
            "service": "NodePort",
            "url": "https://models.example.com:8443",
            "tls": {"secret": "models-tls"},
        },
        "network_policies": False,
    },
    "HTTPS at a URL without a port": {
        "gateway": {"url": "https://models.example.com", "tls": {"secret": "models-tls", "port": 8443}},
    },
    "nodes": {"nodes": NODES},
    "nodes of Karpenter": {"nodes": NODES | {"scaler": "karpenter"}},
    "url": {"gateway": {"url": "https://models.example.com", "service": "ClusterIP"}},
}


def installed(values: dict[str, Any]) -> list[Manifest]:
    """The objects that the command applies, with jobs for those that no template can have."""
    chosen = ClusterSettings.model_validate(values)
    known = Installation("ml", chosen, gateway_url=chosen.gateway.url)
    return [*services(known), *platform(known), *chart_jobs.jobs(known)]


def by_name(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The objects by kind and name, with the label of the command's manager, and no policy of Helm."""
    text = json.dumps(manifests).replace(f'"{MANAGED_BY}": "{HELM}"', f'"{MANAGED_BY}": "gyrus"')
    found = {f"{each['kind']} {name_of(each)}": each for each in json.loads(text)}
    if volume := found.get(f"PersistentVolumeClaim {DATA}"):
        volume["metadata"].pop("annotations", None)
    return found


@needs_helm
@pytest.mark.parametrize("name", VALUES)
def test_the_chart_equals_the_manifests_of_the_command(tmp_path: Path, name: str) -> None:
    accepted = {key: value for key, value in VALUES[name].items() if key not in REFUSED}
    found = by_name(templated(tmp_path, accepted, "ml"))
    assert found == by_name(installed(VALUES[name]))


@needs_helm
def test_an_upgrade_never_deletes_the_operators_volume(tmp_path: Path) -> None:
    volume = next(each for each in templated(tmp_path, {}, "ml") if name_of(each) == DATA)
    assert volume["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@needs_helm
@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"gateway": {"replica": 3}}, "replica"),
        ({"gateway": {"replicas": "3"}}, "replicas"),
        ({"images": {"gyrus": "a b"}}, "gyrus"),
        ({"operator": {"storage": "many"}}, "storage"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, values: dict[str, Any], fault: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    refused = helm("template", "gyrus", CHART, "--values", file, check=False)
    assert refused.returncode == 1
    assert "values don't meet the specifications of the schema" in refused.stderr
    assert fault in refused.stderr


@needs_helm
@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"pod_security": "baseline"},
            "pod_security: the chart does not label the namespace. Remove it from the values, and run: "
            "kubectl label namespace ml pod-security.kubernetes.io/enforce=baseline",
        ),
        (
            {"gateway": {"service": "NodePort", "tls": {"secret": "models-tls"}}},
            "gateway.tls: has no node_port, and a redirect must name the port of HTTPS; write node_port "
            "(30000 to 32767), or http: serve, or the url of the endpoints",
        ),
    ],
)
def test_values_that_the_chart_cannot_honour_are_refused(
    tmp_path: Path, values: dict[str, Any], fault: str
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    refused = helm("template", "gyrus", CHART, "--namespace", "ml", "--values", file, check=False)
    assert refused.returncode == 1
    assert fault in refused.stderr


@given(st.fixed_dictionaries({name: st.booleans() for name in CONDITIONS}))
@settings(deadline=None)
def test_each_part_depends_on_its_conditions_alone(holds: dict[str, bool]) -> None:
    for part in PARTS.values():
        own = {name: holds[name] for name in part.conditions}
        assert rendered(part, holds) == rendered(part, own)


@needs_helm
def test_the_chart_has_no_faults() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART).stdout


def test_the_default_values_are_those_of_the_command() -> None:
    assert parse_values(default_values(), "values.yaml") == ClusterSettings()


@pytest.mark.processes
def test_the_files_of_the_chart_are_current() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "chart.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_version_is_that_of_gyrus() -> None:
    from gyrus import __version__

    assert yaml.safe_load(chart_files()["Chart.yaml"])["appVersion"] == __version__
