"""What an installation consists of, and that every supported Kubernetes understands it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gyrus.cluster.manifests import access, chart_jobs, operator
from gyrus.cluster.manifests.installation import foundations, platform, services
from gyrus.cluster.manifests.objects import Installation, is_own
from gyrus.cluster.secrets import manifests as secret_manifests
from gyrus.cluster.settings import ClusterSettings
from gyrus.contract import cluster as names
from gyrus.kubernetes.placement import spread_over_nodes, spread_over_zones, tolerations_of_lost_nodes
from gyrus.kubernetes.resources import Manifest, resource_of
from support.manifest_schemas import VERSIONS, check_manifest

SETTINGS = {
    "default": {},
    "node ports": {
        "gateway": {"service": "NodePort", "node_port": 30080, "annotations": {"a": "b"}},
        "operator": {"api": {"service": "NodePort"}, "storage": "none"},
        "images": {"pull_secrets": ["registry"]},
        "network_policies": False,
    },
    "https": {"gateway": {"tls": {"secret": "models-tls"}}},
    "store": {"operator": {"store": {"secret": "gyrus-store", "key": "uri"}}},
    "CloudWatch": {"cloudwatch": {"cluster": "models", "region": "eu-west-1"}},
    "node cache": {"node_cache": {"path": "/var/cache/gyrus"}, "pod_security": "privileged"},
    "nodes": {
        "nodes": {
            "region": "eu-west-1",
            "cluster": "vision",
            "groups": [{"name": "cpu", "instance_type": "m5.large"}],
        }
    },
    "storage class": {"operator": {"storage": "1Gi", "storage_class": "fast"}},
}


def rendered(settings: dict[str, Any] | None = None) -> list[Manifest]:
    known = installation(settings)
    secrets = secret_manifests(known, {names.AUTHORITY: {"tls.crt": "a"}})
    return [*foundations(known), *secrets, *services(known), *platform(known)]


def installation(settings: dict[str, Any] | None = None) -> Installation:
    return Installation("ml", ClusterSettings.model_validate(settings or {}))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_kubernetes_accepts_every_manifest(version: str, settings: str) -> None:
    for manifest in [*rendered(SETTINGS[settings]), *chart_jobs.jobs(installation(SETTINGS[settings]))]:
        check_manifest(manifest, version)


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_object_has_a_kind_that_the_client_knows_and_its_owner(settings: str) -> None:
    known = installation(SETTINGS[settings])
    for manifest in rendered(SETTINGS[settings]):
        assert resource_of(manifest).namespaced == (manifest["metadata"].get("namespace") == "ml")
        assert is_own(manifest, known) or manifest["kind"] == "CustomResourceDefinition"


def test_the_names_of_objects_differ() -> None:
    keys = [(each["kind"], each["metadata"]["name"]) for each in rendered()]
    assert len(keys) == len(set(keys))


def test_every_port_has_its_protocol() -> None:
    ports = [port for each in rendered() if each["kind"] == "Service" for port in each["spec"]["ports"]]
    assert len(ports) == 5
    assert all(port["protocol"] == "TCP" for port in ports)


def test_all_pods_satisfy_the_restricted_standard() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_only_the_operator_has_a_token_of_the_cluster() -> None:
    tokens = {
        each["metadata"]["name"]: each["automountServiceAccountToken"]
        for each in rendered()
        if each["kind"] == "ServiceAccount"
    }
    assert tokens == {names.OPERATOR: True, names.GATEWAY: False, names.REPLICA: False}
    subjects = [
        subject["name"]
        for each in rendered()
        if each["kind"].endswith("RoleBinding")
        for subject in each["subjects"]
    ]
    assert subjects == [names.OPERATOR, names.OPERATOR]


def test_no_rule_allows_everything() -> None:
    jobs = (*chart_jobs.NAMESPACE_RULES, *chart_jobs.CLUSTER_RULES)
    for rule in (*access.NAMESPACE_RULES, *access.CLUSTER_RULES, *jobs):
        assert "*" not in (*rule.resources, *rule.verbs, rule.group)
        assert rule.reason.endswith(".")
        if "secrets" in rule.resources:
            assert rule.objects or rule.verbs == ("create",)  # a name cannot limit a creation


def test_without_storage_the_state_ends_with_the_pod() -> None:
    def state(settings: dict[str, Any]) -> Any:
        found = {
            each["metadata"]["name"]: each for each in rendered(settings) if each["kind"] == "Deployment"
        }
        volumes = found[names.OPERATOR]["spec"]["template"]["spec"]["volumes"]
        claims = [each for each in rendered(settings) if each["kind"] == "PersistentVolumeClaim"]
        return volumes[0], len(claims)

    assert state({}) == ({"name": "state", "persistentVolumeClaim": {"claimName": names.DATA}}, 1)
    assert state({"operator": {"storage": "none"}}) == ({"name": "state-of-pod", "emptyDir": {}}, 0)


def test_https_opens_its_port_and_that_of_the_redirect_alone() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in rendered(SETTINGS["https"])}
    ports = found["Service", names.GATEWAY]["spec"]["ports"]
    assert [(each["name"], each["port"], each["targetPort"]) for each in ports] == [
        ("https", 443, "https"),
        ("http", 80, "http"),
    ]
    [pod] = found["Deployment", names.GATEWAY]["spec"]["template"]["spec"]["containers"]
    assert {each["name"]: each["containerPort"] for each in pod["ports"]} == {
        "http": names.REDIRECT_PORT,
        "https": names.GATEWAY_TLS_PORT,
        "admin": names.ADMIN_PORT,
    }
    assert {"name": names.HTTPS_PORT_VARIABLE, "value": "443"} in pod["env"]
    [rule] = found["NetworkPolicy", names.GATEWAY]["spec"]["ingress"]
    assert [each["port"] for each in rule["ports"]] == [
        names.GATEWAY_TLS_PORT,
        names.REDIRECT_PORT,
        names.ADMIN_PORT,
    ]


def test_http_may_be_served_beside_https() -> None:
    settings = {"gateway": {"tls": {"secret": "models-tls", "http": "serve"}}}
    found = {(each["kind"], each["metadata"]["name"]): each for each in rendered(settings)}
    [pod] = found["Deployment", names.GATEWAY]["spec"]["template"]["spec"]["containers"]
    assert {"name": "http", "containerPort": names.GATEWAY_PORT, "protocol": "TCP"} in pod["ports"]
    [rule] = found["NetworkPolicy", names.GATEWAY]["spec"]["ingress"]
    assert {"port": names.GATEWAY_PORT, "protocol": "TCP"} in rule["ports"]


@pytest.mark.parametrize(
    ("gateway", "port"),
    [
        ({}, None),
        ({"tls": {"secret": "s"}}, 443),
        ({"tls": {"secret": "s", "port": 8443}}, 8443),
        ({"tls": {"secret": "s", "node_port": 30443}, "service": "NodePort"}, 30443),
        ({"tls": {"secret": "s"}, "service": "NodePort", "url": "https://models.example.com"}, 443),
        ({"tls": {"secret": "s"}, "url": "https://models.example.com:444"}, 444),
    ],
)
def test_redirects_name_the_port_that_clients_see(gateway: dict[str, Any], port: int | None) -> None:
    assert ClusterSettings.model_validate({"gateway": gateway}).gateway.https_port == port


def test_probes_ask_the_operator_and_its_services_reach_a_leader_whose_store_is_away() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in rendered()}
    [pod] = found["Deployment", names.OPERATOR]["spec"]["template"]["spec"]["containers"]
    probes = {kind: pod[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert found["Service", names.OPERATOR]["spec"]["publishNotReadyAddresses"] is True


def pods() -> list[Manifest]:
    return [each["spec"]["template"]["spec"] for each in rendered() if each["kind"] == "Deployment"]


def test_the_guide_lists_the_rights_of_the_operator_and_of_the_charts_jobs() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "kubernetes.md").read_text()
    assert access.rights_table() in guide
    assert access.rights_table(chart_jobs.NAMESPACE_RULES, chart_jobs.CLUSTER_RULES) in guide


def test_with_a_store_there_are_two_operators_without_a_volume() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in rendered(SETTINGS["store"])}
    assert ("PersistentVolumeClaim", names.DATA) not in found
    deployment = found["Deployment", names.OPERATOR]["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (2, "RollingUpdate")
    pod = deployment["template"]["spec"]
    assert "--store-file /etc/gyrus/store/uri" in " ".join(pod["containers"][0]["args"])
    assert {"name": "store", "secret": {"secretName": "gyrus-store", "defaultMode": 0o440}} in pod["volumes"]
    assert found["PodDisruptionBudget", names.OPERATOR]["spec"]["minAvailable"] == 1


def test_gateways_and_operators_are_spread_and_leave_a_lost_node_soon() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in rendered(SETTINGS["store"])}
    for name, role in ((names.OPERATOR, "operator"), (names.GATEWAY, "gateway")):
        pod = found["Deployment", name]["spec"]["template"]["spec"]
        labels = {names.ROLE_LABEL: role}
        alone = ("pod-template-hash",)
        assert pod["topologySpreadConstraints"] == spread_over_nodes(labels, alike_in=alone)
        assert pod["affinity"] == spread_over_zones(labels)
        assert pod["tolerations"] == tolerations_of_lost_nodes()


def test_one_operator_has_no_budget_that_would_block_drains() -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in rendered()}
    assert ("PodDisruptionBudget", names.OPERATOR) not in found
    assert found["Deployment", names.OPERATOR]["spec"]["replicas"] == 1


def test_the_operators_services_reach_the_leader_alone() -> None:
    for service in services(installation(SETTINGS["node ports"])):
        if service["metadata"]["name"] != names.GATEWAY:
            assert service["spec"]["selector"] == {names.ROLE_LABEL: "operator", names.LEADER_LABEL: "true"}


@pytest.mark.parametrize(
    ("settings", "group"), [({}, "/gyrus/models"), ({"log_group": "/mine/models"}, "/mine/models")]
)
def test_the_operator_sends_to_cloudwatch_only_if_asked_to(settings: dict[str, Any], group: str) -> None:
    def arguments(settings: dict[str, Any]) -> list[str]:
        pod = operator.deployment(installation(settings))["spec"]["template"]["spec"]
        return pod["containers"][0]["args"]

    chosen = {"cloudwatch": {"cluster": "models", "region": "eu-west-1", **settings}}
    assert [word for word in arguments(chosen) if word not in arguments({})] == [
        *("--cloudwatch-cluster", "models", "--cloudwatch-region", "eu-west-1"),
        *("--cloudwatch-log-group", group),
    ]
