"""A pod's manifest follows from its order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gyrus.backends.kubernetes.pod import Pod
from gyrus.backends.kubernetes.programs import ImagePrograms, ReplicaPrograms
from gyrus.backends.kubernetes.resources import builder_pod, decode_order, replica_pod, termination
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.contract.cluster import ORDER_ANNOTATION, log_secret, replica_secret
from gyrus.contract.pods import BuildOrder, FetchOrder
from gyrus.contract.replica import LogArchiveAccess, ProcessConfig, RestartPolicy
from gyrus.contract.workload import ComputeResources
from gyrus.kubernetes.resources import Manifest
from gyrus.runtime.codec import decode
from support.backends import OneEnvironment, order
from support.manifest_schemas import VERSIONS, check_manifest

SETTINGS = KubernetesSettings(image="localhost/gyrus-runtime:1", secret="s", runtime="r", serving_on=5)
ORDER = replace(
    order(generation=3),
    workload=replace(
        order().workload,
        compute=ComputeResources(cpu=0.25, mem=2**30, gpu=1),
        grace=30.5,
    ),
)


KEY = OneEnvironment.KEY
PROGRAMS = ReplicaPrograms(SETTINGS, OneEnvironment())


def made() -> Manifest:
    return replica_pod(ORDER, PROGRAMS.program(ORDER, KEY), SETTINGS)


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_accepts_every_pod(version: str) -> None:
    served = ProcessConfig(command=("serve",), ready_path="/health")
    process = replace(
        ORDER, workload=replace(ORDER.workload, code=replace(ORDER.workload.code, process=served))
    )
    owner: Manifest = {
        "apiVersion": "gyrus.dev/v1",
        "kind": "API",
        "name": "iris",
        "uid": "u",
        "controller": True,
    }
    settings = replace(SETTINGS, builder_variables={"PIP_INDEX_URL": "https://pypi.example.com"})
    for pod in (
        made(),
        replica_pod(process, ImagePrograms("i").program(process, None), settings, owner),
        replica_pod(
            process, ReplicaPrograms(settings, OneEnvironment()).program(process, KEY), settings, owner
        ),
        builder_pod("b", BuildOrder(environment="e", package=None), settings),
    ):
        check_manifest(pod, version)


def test_prometheus_finds_the_metrics_of_processes_of_gyrus() -> None:
    workload = ORDER.workload
    handler = replace(
        ORDER, workload=replace(workload, code=replace(workload.code, process=None, processes=2))
    )
    pod = replica_pod(handler, PROGRAMS.program(handler, KEY), SETTINGS)
    annotations = pod["metadata"]["annotations"]
    assert (annotations["prometheus.io/port"], annotations["prometheus.io/path"]) == ("18005", "/metrics")
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    assert ports["metrics"] == 18005
    assert Pod(pod).serving_ports == (8000, 8001)
    assert workload.code.process is not None  # a server of the user's, without the queue proxy
    assert "prometheus.io/scrape" not in made()["metadata"]["annotations"]


def test_name_and_labels() -> None:
    metadata = made()["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (ORDER.id, "gyrus")
    assert metadata["labels"]["gyrus.dev/api"] == "iris"
    assert metadata["labels"]["gyrus.dev/generation"] == "3"
    assert metadata["labels"]["gyrus.dev/role"] == "replica"
    assert "ownerReferences" not in metadata


def test_the_owner() -> None:
    owner: Manifest = {"kind": "API", "name": "iris", "controller": True}
    pod = replica_pod(ORDER, ImagePrograms("i").program(ORDER), SETTINGS, owner)
    assert pod["metadata"]["ownerReferences"] == [owner]


def test_the_pod_carries_its_order() -> None:
    assert decode_order(made()["metadata"]["annotations"][ORDER_ANNOTATION]) == ORDER


def test_requests_and_limits() -> None:
    resources = made()["spec"]["containers"][0]["resources"]
    memory = {"memory": str(2**30), "nvidia.com/gpu": "1"}
    assert resources == {"requests": {"cpu": "250m", **memory}, "limits": memory}


def test_every_container_is_restricted() -> None:
    builder = builder_pod("b", BuildOrder(environment="e", package=None), SETTINGS)
    for pod in (made(), builder):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["serviceAccountName"] == "gyrus-replica"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_secret_reaches_the_fetch_step_alone() -> None:
    spec = made()["spec"]
    secret = replica_secret("s", ORDER.id)
    assert secret in json.dumps(spec["initContainers"])
    assert secret not in json.dumps(spec["containers"])


def test_the_configuration_has_the_way_to_the_log_archive() -> None:
    spec = made()["spec"]
    variables = {each["name"]: each["value"] for each in spec["initContainers"][0]["env"]}
    config = decode(FetchOrder, variables["GYRUS_ORDER"]).config
    assert config.log_archive == LogArchiveAccess(
        url="https://gyrus-operator.gyrus.svc:18002",
        secret=log_secret("s", ORDER.id),
        ca="/etc/gyrus/tls/ca.crt",
    )
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "authority")
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/gyrus/tls", True)
    (volume,) = (each for each in spec["volumes"] if each["name"] == "authority")
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_the_grace_covers_what_the_pod_does_at_its_end() -> None:
    longest_leave, grace, ending = 30, 31, 15
    assert made()["spec"]["terminationGracePeriodSeconds"] == longest_leave + grace + ending
    assert termination(30.5, replace(SETTINGS, serving_on=0), graceful=True) == grace + ending
    assert termination(30.5, replace(SETTINGS, serving_on=40), graceful=True) == 40 + grace + ending


def test_the_readiness_of_the_runtime_is_that_of_its_supervisor() -> None:
    container = made()["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"] == {
        "path": "/readyz",
        "port": "status",
        "scheme": "HTTP",
    }
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "http-0": 8000,
        "status": 18003,
    }


def test_an_image_of_the_user_runs_its_command() -> None:
    pod = replica_pod(ORDER, ImagePrograms("localhost/a:1").program(ORDER), SETTINGS)
    container = pod["spec"]["containers"][0]
    assert (container["image"], container["command"]) == ("localhost/a:1", ["python", "server.py"])
    assert {"name": "PORT", "value": "8000"} in container["env"]
    assert container["readinessProbe"]["tcpSocket"] == {"port": 8000}
    assert "initContainers" not in pod["spec"]


def test_references_in_variables_stay_as_they_are() -> None:
    workload = replace(
        ORDER.workload, environment=replace(ORDER.workload.environment, variables={"A": "$(HOME)"})
    )
    changed = replace(ORDER, workload=workload)
    pod = replica_pod(changed, ImagePrograms("i").program(changed), SETTINGS)
    assert {"name": "A", "value": "$$(HOME)"} in pod["spec"]["containers"][0]["env"]


def test_one_that_runs_once_is_not_restarted() -> None:
    once = replace(ORDER, workload=replace(ORDER.workload, restart=RestartPolicy.NEVER))
    pod = replica_pod(once, PROGRAMS.program(once, KEY), SETTINGS)
    assert pod["spec"]["restartPolicy"] == "Never"
    assert made()["spec"]["restartPolicy"] == "Always"


async def test_the_container_runs_in_the_chosen_environment() -> None:
    key = await PROGRAMS.environment(ORDER)
    container = made()["spec"]["containers"][0]
    assert container["command"][0] == f"/gyrus/environments/{key}/bin/python"
