"""The manifests of pods: a replica's from its order, a builder's from an environment. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from gyrus.backends.kubernetes.configuration import has_metrics
from gyrus.backends.kubernetes.programs import METRICS_PORT_NAME, STATUS_PORT_NAME, Program, access
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import (
    API_LABEL,
    BUILDER_ROLE,
    GENERATION_LABEL,
    GROUP,
    OPERATOR_TLS,
    ORDER_ANNOTATION,
    POD_FOLDER,
    REPLICA,
    REPLICA_ROLE,
    REVISION_LABEL,
    ROLE_LABEL,
    TLS_FOLDER,
    scrape_annotations,
)
from gyrus.contract.pods import BUILD_COMMAND, FETCH_COMMAND, METRICS_PORT, STATUS_PORT, BuildOrder
from gyrus.contract.replica import METRICS_PATH, RestartPolicy
from gyrus.contract.workload import ComputeResources
from gyrus.kubernetes.resources import Manifest

MAIN = "replica"
"""Name of the container that serves."""
FETCH = "fetch"
BUILD = "build"

USER = 65532
ENDING = 15
"""Seconds beyond a replica's grace in which its supervisor ends what is left."""
EVICTED_AFTER = 30
"""Seconds after which a pod of a lost node is given up, so that its name is free. It is replaced before."""
ENVIRONMENT_ANNOTATION = f"{GROUP}/environment"
"""Key of the environment that a builder builds."""

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
"""Annotation for the cluster autoscaler, which else keeps each node that has a pod with an own volume."""


def replica_pod(
    order: ReplicaOrder, program: Program, settings: KubernetesSettings, owner: Manifest | None = None
) -> Manifest:
    """Return the pod of a replica.

    ``owner``: the reference to the API's custom resource; None: it has none.
    """
    workload = order.workload
    metadata: Manifest = {
        "name": order.id,
        "namespace": settings.namespace,
        "labels": {
            ROLE_LABEL: REPLICA_ROLE,
            API_LABEL: order.api,
            GENERATION_LABEL: str(order.generation),
            REVISION_LABEL: str(order.revision),
            "app.kubernetes.io/name": order.api,
            "app.kubernetes.io/managed-by": "gyrus",
        },
        "annotations": {
            ORDER_ANNOTATION: encode_order(order),
            SAFE_TO_EVICT: "true",
            **_scraping(order, program),
        },
    }
    if owner:
        metadata["ownerReferences"] = [owner]
    spec = _spec(settings) | {
        "restartPolicy": "Never" if workload.restart is RestartPolicy.NEVER else "Always",
        "terminationGracePeriodSeconds": termination(workload.grace, settings, supervised=program.supervised),
        "containers": [_serving(order, program, settings)],
        "volumes": _volumes(authority=program.fetch is not None),
    }
    if program.fetch is not None:
        spec["initContainers"] = [_fetching(program.fetch, settings)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def builder_pod(name: str, order: BuildOrder, settings: KubernetesSettings) -> Manifest:
    """Return the pod that builds an environment and uploads it."""
    request = ComputeResources(cpu=settings.builder_cpu, mem=settings.builder_mem)
    container = _container(BUILD, settings.image, BUILD_COMMAND, settings)
    container["env"] = _variables({**settings.builder_variables, **access(name, order, settings)})
    container["resources"] = {"requests": _amounts(request)}
    container["volumeMounts"] += _authority_mount()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": settings.namespace,
            "labels": {ROLE_LABEL: BUILDER_ROLE, "app.kubernetes.io/managed-by": "gyrus"},
            "annotations": {ENVIRONMENT_ANNOTATION: order.environment, SAFE_TO_EVICT: "false"},
        },
        "spec": _spec(settings)
        | {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": _volumes(authority=True),
        },
    }


def encode_order(order: ReplicaOrder) -> str:
    return msgspec.json.encode(order).decode()


def decode_order(text: str) -> ReplicaOrder:
    """Read an order. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=ReplicaOrder)


def termination(grace: float, settings: KubernetesSettings, *, supervised: bool) -> int:
    """Return the seconds after which Kubernetes kills a replica with this grace."""
    return math.ceil(grace + settings.serving_on) + ENDING if supervised else max(1, math.ceil(grace))


def _spec(settings: KubernetesSettings) -> Manifest:
    return {
        "serviceAccountName": REPLICA,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{fault}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": EVICTED_AFTER,
            }
            for fault in ("not-ready", "unreachable")
        ],
    }


def _serving(order: ReplicaOrder, program: Program, settings: KubernetesSettings) -> Manifest:
    compute = order.workload.compute
    variables = {**order.workload.environment.variables, **program.variables}
    container = _container(MAIN, program.image, program.command, settings) | {
        "env": _variables({} if program.supervised else variables),
        "resources": _resources(compute),
        "ports": [
            *(_port(f"http-{index}", port) for index, port in enumerate(program.ports)),
            *([_port(STATUS_PORT_NAME, STATUS_PORT)] if program.supervised else []),
            *([_port(METRICS_PORT_NAME, METRICS_PORT)] if _serves_metrics(order, program) else []),
        ],
    }
    if program.readiness:
        container["readinessProbe"] = program.readiness | {
            "periodSeconds": 1,
            "timeoutSeconds": 3,
            "failureThreshold": 2,
            "successThreshold": 1,
        }
    if program.liveness:
        container["livenessProbe"] = program.liveness | {
            "periodSeconds": 10,
            "timeoutSeconds": 3,
            "failureThreshold": 6,
            "successThreshold": 1,
        }
    if program.pre_stop:
        container["lifecycle"] = {"preStop": {"exec": {"command": [*program.pre_stop]}}}
    return container


def _serves_metrics(order: ReplicaOrder, program: Program) -> bool:
    return program.supervised and has_metrics(order)


def _scraping(order: ReplicaOrder, program: Program) -> dict[str, str]:
    return scrape_annotations(METRICS_PORT, METRICS_PATH) if _serves_metrics(order, program) else {}


def _fetching(variables: Mapping[str, str], settings: KubernetesSettings) -> Manifest:
    container = _container(FETCH, settings.image, FETCH_COMMAND, settings)
    container["env"] = _variables(variables)
    container["volumeMounts"] += _authority_mount()
    return container


def _container(name: str, image: str, command: tuple[str, ...], settings: KubernetesSettings) -> Manifest:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.pull_policy,
        "command": [*command],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "gyrus", "mountPath": POD_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _volumes(*, authority: bool) -> list[Manifest]:
    volumes: list[Manifest] = [{"name": "gyrus", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    if authority:
        # Only the certificate of the authority: the operator's key in the same secret must not come here.
        secret = {"secretName": OPERATOR_TLS, "items": [{"key": "ca.crt", "path": "ca.crt"}]}
        volumes.append({"name": "authority", "secret": secret})
    return volumes


def _authority_mount() -> list[Manifest]:
    return [{"name": "authority", "mountPath": TLS_FOLDER, "readOnly": True}]


def _variables(variables: Mapping[str, str]) -> list[Manifest]:
    """Return the variables, and a home that can be written. References as ``$(NAME)`` stay as they are."""
    escaped = {name: value.replace("$(", "$$(") for name, value in variables.items()}
    return [{"name": name, "value": value} for name, value in ({"HOME": "/tmp"} | escaped).items()]


def _resources(compute: ComputeResources) -> Manifest:
    """Return requests and limits. CPU has no limit: free cores of the node may be used by all."""
    amounts = _amounts(compute)
    limits = {name: amount for name, amount in amounts.items() if name != "cpu"}
    return {"requests": amounts, "limits": limits}


def _amounts(compute: ComputeResources) -> Manifest:
    amounts: dict[str, Any] = {}
    if compute.cpu:
        amounts["cpu"] = f"{math.ceil(round(compute.cpu * 1000, 6))}m"
    if compute.mem:
        amounts["memory"] = str(compute.mem)
    if compute.gpu:
        amounts["nvidia.com/gpu"] = str(compute.gpu)
    return amounts


def _port(name: str, port: int) -> Manifest:
    return {"name": name, "containerPort": port, "protocol": "TCP"}
