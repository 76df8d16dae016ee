"""Containers of the user's own, and the image of a handler, become the containers of a pod."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest

from gyrus.backends.kubernetes.programs import ReplicaPrograms
from gyrus.backends.kubernetes.resources import replica_pod
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.contract.cluster import CALLS, PRE_STOP, replica_proof
from gyrus.kubernetes.placement import spread_over_nodes, spread_over_zones
from gyrus.kubernetes.resources import Manifest
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.workload import START_TIMEOUT
from support.backends import OneEnvironment, order_of

SETTINGS = KubernetesSettings(
    image="localhost/gyrus-runtime:1",
    secret="s",
    runtime="r",
    serving_on=5,
    pull_policy="Always",
    pull_secrets=("registry",),
    priority_class="gyrus-replicas",
)
PROGRAMS = ReplicaPrograms(SETTINGS, OneEnvironment())
WORDS: dict[str, Any] = {
    "port": 9000,
    "containers": [
        {
            "name": "api",
            "image": "localhost/words:1",
            "args": ["--port", "$(CORTEX_PORT)"],
            "env": {"URL": "http://localhost:$(CORTEX_PORT)"},
            "compute": {"cpu": "1", "mem": "1Gi", "gpu": 1, "inf": 0, "shm": "64Mi"},
            "readiness_probe": {"http_get": {"port": 9000, "path": "/ready"}, "period_seconds": 5},
            "liveness_probe": {"exec": {"command": ["true"]}},
        },
        {
            "name": "cache",
            "image": "localhost/cache:1",
            "readiness_probe": {"tcp_socket": {"port": 6379}},
            "pre_stop": {"exec": {"command": ["save"]}},
            "compute": {"inf": 1},
        },
    ],
}


def pod(**fields: object) -> Manifest:
    spec = RealtimeSpec.model_validate({"name": "words", **fields})
    order = order_of(spec, id="words-1-aaaaa")
    return replica_pod(order, PROGRAMS.program(order, None), SETTINGS)


def containers(manifest: Manifest) -> dict[str, Any]:
    return {container["name"]: container for container in manifest["spec"]["containers"]}


def sidecar_order(manifest: Manifest) -> dict[str, Any]:
    (variable,) = (v for v in containers(manifest)["sidecar"]["env"] if v["name"] == "GYRUS_ORDER")
    return json.loads(variable["value"])


@pytest.mark.parametrize(
    "fields",
    [
        {"pod": {"containers": [{"name": "api", "image": "localhost/words:1"}]}},
        {"process": {"image": "localhost/chat:1"}},
        {"handler": {"path": "handler.py", "image": "localhost/iris:1"}},
    ],
)
async def test_an_image_needs_no_environment(fields: dict[str, object]) -> None:
    spec = RealtimeSpec.model_validate({"name": "words", **fields})
    assert await PROGRAMS.environment(order_of(spec, id="words-1-aaaaa")) is None


def test_containers_of_a_pod() -> None:
    made = pod(pod=WORDS)
    found = containers(made)
    assert list(found) == ["api", "cache", "sidecar"]
    api = found["api"]
    assert api["image"] == "localhost/words:1"
    assert "command" not in api
    assert api["args"] == ["--port", "$(CORTEX_PORT)"]
    names = [variable["name"] for variable in api["env"]]
    assert names.index("CORTEX_PORT") < names.index("URL")  # Kubernetes expands earlier variables only
    assert {"name": "URL", "value": "http://localhost:$(CORTEX_PORT)"} in api["env"]
    assert api["resources"]["limits"] == {"memory": str(2**30), "nvidia.com/gpu": "1"}
    assert found["cache"]["resources"]["limits"] == {"aws.amazon.com/neuron": "1"}
    for name in ("api", "cache"):
        mounts = {mount["mountPath"] for mount in found[name]["volumeMounts"]}
        assert {"/mnt", "/cortex/client"} <= mounts
    volumes = {volume["name"]: volume for volume in made["spec"]["volumes"]}
    (shm,) = (mount["name"] for mount in api["volumeMounts"] if mount["mountPath"] == "/dev/shm")
    assert volumes[shm]["emptyDir"] == {"medium": "Memory", "sizeLimit": str(64 * 2**20)}
    configuration = made["metadata"]["annotations"]["gyrus.dev/cortex-client"]
    assert "operator_endpoint: https://gyrus-operator.gyrus.svc:8443" in configuration


def test_probes_and_hooks() -> None:
    found = containers(pod(pod=WORDS))
    probe = found["api"]["readinessProbe"]
    assert probe["httpGet"] == {"path": "/ready", "port": 9000, "scheme": "HTTP"}
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (5, 3)
    assert found["api"]["livenessProbe"]["exec"] == {"command": ["true"]}
    assert found["cache"]["readinessProbe"]["tcpSocket"] == {"port": 6379}
    drained = {"path": "/drained", "port": 18003, "scheme": "HTTP"}
    assert found["api"]["lifecycle"] == {"preStop": {"httpGet": drained}}
    assert found["cache"]["lifecycle"] == {"preStop": {"exec": {"command": ["save"]}}}


def test_the_queue_proxy_stands_before_a_limited_server() -> None:
    made = pod(pod=WORDS)
    ports = {port["name"]: port["containerPort"] for port in containers(made)["sidecar"]["ports"]}
    assert ports == {"http-0": 18004, "sidecar": 18003}
    assert containers(made)["api"]["ports"] == []
    work = sidecar_order(made)
    assert (work["upstream"], work["proxy"], work["origin"], work["probe"]) == (9000, True, True, False)
    assert work["limits"]["max_concurrency"] == 1


def test_requests_reach_a_server_without_a_limit_directly() -> None:
    made = pod(pod={**WORDS, "max_concurrency": None})
    assert [port["containerPort"] for port in containers(made)["api"]["ports"]] == [9000]
    assert sidecar_order(made)["proxy"] is False


def test_the_hook_of_a_replica_asks_the_operator() -> None:
    made = pod(handler={"path": "handler.py"}, autoscaling={"min_replicas": 1}, timeout="30s")
    (replica,) = made["spec"]["containers"]
    *command, order = replica["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["/opt/gyrus/bin/python", "-I", "-S", "/gyrus/pre_stop.py"]
    assert json.loads(order) == {
        "url": "https://gyrus-operator.gyrus.svc:18002/unrouted",
        "pod": "words-1-aaaaa",
        "proof": replica_proof("s", PRE_STOP, "words-1-aaaaa"),
        "ca": "/etc/gyrus/tls/ca.crt",
        "pause": 5.0,
        "longest": 30.0,
    }
    grace = made["spec"]["terminationGracePeriodSeconds"]
    assert grace >= 30 + 30, "the longest wait is within it"


def test_only_a_pod_of_which_all_containers_wait_serves_until_it_is_replaced() -> None:
    waits = {**WORDS, "containers": WORDS["containers"][:1]}
    assert pod(pod=waits)["metadata"]["annotations"]["gyrus.dev/serves-on"] == "30"
    assert "gyrus.dev/serves-on" not in pod(pod=WORDS)["metadata"]["annotations"], "a hook of the user's own"
    assert pod(handler={"path": "handler.py"})["metadata"]["annotations"]["gyrus.dev/serves-on"] == "30"


def test_the_sidecar_asks_the_operator() -> None:
    made = pod(pod=WORDS)
    assert sidecar_order(made)["pre_stop"]["pod"] == "words-1-aaaaa"
    mounted = [name for name, c in containers(made).items() if "authority" in str(c["volumeMounts"])]
    assert mounted == ["sidecar"]
    (volume,) = (v for v in made["spec"]["volumes"] if v["name"] == "authority")
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}], "without the operator's key"


def test_a_replica_has_the_proof_of_private_calls_to_it_alone() -> None:
    proof = replica_proof("s", CALLS, "words-1-aaaaa")
    assert sidecar_order(pod(pod=WORDS))["proof"] == proof
    (fetch,) = pod(handler={"path": "handler.py"})["spec"]["initContainers"]
    (order,) = (v["value"] for v in fetch["env"] if v["name"] == "GYRUS_ORDER")
    assert json.loads(order)["config"]["proof"] == proof


def test_a_process_with_an_image_runs_its_command_as_on_one_machine() -> None:
    made = pod(
        process={
            "image": "localhost/chat:1",
            "command": ["serve", "--port", "$PORT", "$(date)"],
            "ready": {"path": "/health"},
        },
        max_concurrency=4,
        env={"KEY": "$(HOME)"},
    )
    server = containers(made)["server"]
    assert server["command"] == ["serve", "--port", "8000", "$$(date)"]
    assert {"name": "PORT", "value": "8000"} in server["env"]
    assert {"name": "KEY", "value": "$$(HOME)"} in server["env"]
    assert server["readinessProbe"]["httpGet"]["path"] == "/health"
    assert "initContainers" not in made["spec"]
    assert sidecar_order(made)["origin"] is False


@pytest.mark.parametrize(
    ("ready", "check"),
    [
        ({"ready": {"path": "/health"}}, ("httpGet", {"path": "/health", "port": 8000, "scheme": "HTTP"})),
        ({}, ("tcpSocket", {"port": 8000})),
    ],
)
def test_a_server_that_does_not_answer_for_a_minute_is_started_again(
    ready: dict[str, Any], check: tuple[str, Manifest]
) -> None:
    """But not while it starts: the operator enforces its start timeout, before the node would."""
    source = {"image": "localhost/chat:1", "command": ["serve"], **ready}
    server = containers(pod(process=source))["server"]
    liveness, startup, (action, target) = server["livenessProbe"], server["startupProbe"], check
    assert liveness[action] == startup[action] == target
    assert liveness["periodSeconds"] * liveness["failureThreshold"] == 60
    assert startup["periodSeconds"] * startup["failureThreshold"] > START_TIMEOUT


def test_a_container_of_a_pod_is_started_again_only_for_its_own_probe() -> None:
    assert not {"livenessProbe", "startupProbe"} & containers(pod(pod=WORDS))["cache"].keys()


def test_a_handlers_image_gets_the_runtime_from_the_init_container() -> None:
    made = pod(handler={"path": "handler.py", "image": "localhost/iris:1"})
    (replica,) = made["spec"]["containers"]
    assert replica["image"] == "localhost/iris:1"
    assert replica["command"] == ["python3", "-I", "/gyrus/start.py", "/gyrus/run/config.json"]
    assert replica["lifecycle"]["preStop"]["exec"]["command"][0] == "python3"
    assert {"name": "authority", "mountPath": "/etc/gyrus/tls", "readOnly": True} in replica["volumeMounts"]
    (fetch,) = made["spec"]["initContainers"]
    assert fetch["image"] == "localhost/gyrus-runtime:1"
    (variable,) = (v for v in fetch["env"] if v["name"] == "GYRUS_ORDER")
    work = json.loads(variable["value"])
    assert (work["environment"], work["image"]) == ("image", "localhost/iris:1")


def test_images_are_pulled_by_the_settings_of_the_installation() -> None:
    made = pod(pod=WORDS)["spec"]
    assert made["imagePullSecrets"] == [{"name": "registry"}]
    assert {container["imagePullPolicy"] for container in made["containers"]} == {"Always"}


def test_the_root_file_system_of_a_users_image_is_writable_and_nothing_else() -> None:
    for container in pod(pod=WORDS)["spec"]["containers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is (container["name"] == "sidecar")
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_placement() -> None:
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    made = pod(
        pod=WORDS,
        node_groups=["spot", "on-demand"],
        node_selector={"disktype": "ssd"},
        tolerations=tolerations,
        priority="high",
    )["spec"]
    assert made["nodeSelector"] == {"disktype": "ssd"}
    assert made["priorityClassName"] == "high"
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in made["tolerations"]
    affinity = made["affinity"]["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {
        "matchExpressions": [
            {"key": "eks.amazonaws.com/nodegroup", "operator": "In", "values": ["spot", "on-demand"]}
        ]
    } in required
    weights = {
        entry["preference"]["matchExpressions"][0]["values"][0]: entry["weight"]
        for entry in affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    }
    assert weights == {"spot": 100, "on-demand": 50}
    alike = {"gyrus.dev/api": "words", "gyrus.dev/generation": "1"}
    assert made["topologySpreadConstraints"] == spread_over_nodes(alike)
    assert made["affinity"].items() > spread_over_zones(alike).items()


def test_the_installations_priority_is_the_default() -> None:
    assert pod(pod=WORDS)["spec"]["priorityClassName"] == "gyrus-replicas"


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize(
    "fields",
    [
        {"pod": WORDS, "node_groups": ["a", "b"], "tolerations": [{"operator": "Exists"}]},
        {"process": {"image": "localhost/chat:1"}},
        {"handler": {"path": "handler.py", "image": "localhost/iris:1"}},
    ],
)
def test_manifests_are_valid(fields: dict[str, object], version: str) -> None:
    kubernetes_validate.validate(pod(**fields), version, strict=True)
