"""The manifests of pods: a replica's from its order, a builder's from an environment. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from gyrus.backends.kubernetes.placement import place
from gyrus.backends.kubernetes.programs import ContainerPlan, Program, access, as_written
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
)
from gyrus.contract.pods import BUILD_COMMAND, FETCH_COMMAND, POD_USER, BuildOrder
from gyrus.contract.replica import RestartPolicy
from gyrus.contract.workload import ComputeResources
from gyrus.kubernetes.placement import tolerations_of_lost_nodes
from gyrus.kubernetes.resources import Manifest

FETCH = "fetch"
BUILD = "build"

ENDING = 15
"""Seconds beyond a replica's grace in which its supervisor ends what is left."""
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
            **program.annotations,
        },
    }
    if owner:
        metadata["ownerReferences"] = [owner]
    spec = _spec(settings) | {
        "restartPolicy": "Never" if workload.restart is RestartPolicy.NEVER else "Always",
        "terminationGracePeriodSeconds": termination(workload.grace, settings, graceful=program.graceful),
        "containers": [_planned(plan, settings) for plan in program.containers],
        "volumes": [*_volumes(authority=program.reaches_operator), *program.volumes],
    }
    place(spec, order)
    if program.fetch is not None:
        spec["initContainers"] = [_fetching(program, program.fetch, settings)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def builder_pod(name: str, order: BuildOrder, settings: KubernetesSettings) -> Manifest:
    """Return the pod that builds an environment and uploads it."""
    request = ComputeResources(cpu=settings.builder_cpu, mem=settings.builder_mem)
    container = _container(BUILD, settings.image, BUILD_COMMAND, settings)
    container["env"] = _variables(as_written({**settings.builder_variables, **access(name, order, settings)}))
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


def termination(grace: float, settings: KubernetesSettings, *, graceful: bool) -> int:
    """Return the seconds after which Kubernetes kills a replica with this grace."""
    if not graceful:
        return max(1, math.ceil(grace))
    leave = max(settings.serving_on, settings.longest_leave) if settings.serving_on else 0.0
    return math.ceil(grace + leave) + ENDING


def _spec(settings: KubernetesSettings) -> Manifest:
    secrets = [{"name": name} for name in settings.pull_secrets]
    return {
        **({"imagePullSecrets": secrets} if secrets else {}),
        **({"priorityClassName": settings.priority_class} if settings.priority_class else {}),
        "serviceAccountName": REPLICA,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": POD_USER,
            "runAsGroup": POD_USER,
            "fsGroup": POD_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": tolerations_of_lost_nodes(),  # a replica is replaced before
    }


def _planned(plan: ContainerPlan, settings: KubernetesSettings) -> Manifest:
    container: Manifest = _container(plan.name, plan.image, plan.command, settings) | {
        "env": _variables(plan.variables),
        "resources": _resources(plan.compute),
        "ports": [_port(name, port) for name, port in plan.ports.items()],
    }
    if plan.reaches_operator:
        container["volumeMounts"] += _authority_mount()
    if plan.of_user:
        container["securityContext"]["readOnlyRootFilesystem"] = False
        container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    container["volumeMounts"] += [*plan.mounts]
    if not plan.command:
        del container["command"]
    if plan.args:
        container["args"] = [*plan.args]
    if plan.readiness:
        container["readinessProbe"] = plan.readiness
    if plan.liveness:
        container["livenessProbe"] = plan.liveness
    if plan.startup:
        container["startupProbe"] = plan.startup
    if plan.pre_stop:
        container["lifecycle"] = {"preStop": plan.pre_stop}
    return container


def _fetching(program: Program, variables: Mapping[str, str], settings: KubernetesSettings) -> Manifest:
    container = _container(FETCH, settings.image, FETCH_COMMAND, settings)
    container["env"] = _variables(as_written(variables))
    container["volumeMounts"] += [*_authority_mount(), *program.fetch_mounts]
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
    """Return the variables, and a home that can be written."""
    return [{"name": name, "value": value} for name, value in ({"HOME": "/tmp"} | {**variables}).items()]


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
    if compute.inf:
        amounts["aws.amazon.com/neuron"] = str(compute.inf)
    return amounts


def _port(name: str, port: int) -> Manifest:
    return {"name": name, "containerPort": port, "protocol": "TCP"}
