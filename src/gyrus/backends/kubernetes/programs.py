"""The containers of a replica: gyrus's runtime with a fetched environment, or an image that the user built.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from gyrus.backends.kubernetes.configuration import configure, has_metrics, ports
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import (
    API_PORT,
    GROUP,
    REPLICA_PORT,
    log_secret,
    operator_host,
    replica_proof,
    replica_secret,
    scrape_annotations,
)
from gyrus.contract.compute import ComputeResources
from gyrus.contract.containers import Container, ContainerGroup, ContainerHook, ContainerProbe
from gyrus.contract.models import ModelFolder
from gyrus.contract.pods import (
    CA_FILE,
    DRAINED_PATH,
    ENVIRONMENTS_FOLDER,
    FILES,
    IMAGE_ENVIRONMENT,
    METRICS_PORT,
    ORDER,
    POD,
    PRE_STOP_FILE,
    PROXY_PORT,
    PYTHON,
    SECRET,
    SIDECAR_COMMAND,
    START_COMMAND,
    STATUS_PORT,
    FetchOrder,
    PreStopOrder,
    SidecarOrder,
    models_purpose,
    serve_command,
)
from gyrus.contract.replica import METRICS_PATH, LogArchiveAccess
from gyrus.kubernetes.resources import Manifest

MAIN = "replica"
"""Name of the container that runs gyrus's runtime."""
SIDECAR = "sidecar"
"""Name of gyrus's container beside those of the user."""
STATUS_PORT_NAME = "status"
"""Name of the port at which a supervisor reports its status. A pod without it has no supervisor."""
METRICS_PORT_NAME = "metrics"
"""Name of the port at which a supervisor serves the metrics of its processes."""
SIDECAR_PORT_NAME = "sidecar"
SERVING = "http-"
"""Prefix of the names of ports that answer requests."""
CORTEX_VERSION = "0.42.1"
"""The version whose contract the section ``pod`` keeps: ``CORTEX_VERSION`` of each container."""
CORTEX_FOLDER = "/cortex/client"
CORTEX_ANNOTATION = f"{GROUP}/cortex-client"
"""The content of ``cli.yaml`` in that folder."""
CACHE_MOUNT: Manifest = {"name": "environments", "mountPath": ENVIRONMENTS_FOLDER}
READINESS: Manifest = {"periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 2, "successThreshold": 1}
STARTUP_MARGIN = 60
"""Seconds by which the operator notices a start that takes too long before the node does."""
UNRESPONSIVE: Manifest = {"terminationGracePeriodSeconds": 10}
"""Seconds for a container to end whose liveness check fails. Before 1.25, Kubernetes gives it the pod's."""
LIVENESS: Manifest = UNRESPONSIVE | {
    "periodSeconds": 10,
    "timeoutSeconds": 3,
    "failureThreshold": 6,
    "successThreshold": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """One container of a replica's pod."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    compute: ComputeResources = field(default_factory=ComputeResources)
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    """By name. Requests go to those that begin with :data:`SERVING`."""
    readiness: Manifest | None = None
    liveness: Manifest | None = None
    startup: Manifest | None = None
    """The check before whose first success the others are not made."""
    pre_stop: Manifest | None = None
    of_user: bool = False
    """True for an image of the user's own: it may have to write to its root file system."""
    reaches_operator: bool = False
    """True if it reaches the operator, and has to check its certificate."""
    mounts: tuple[Manifest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program of a replica's pod."""

    containers: tuple[ContainerPlan, ...]
    fetch: Mapping[str, str] | None = None
    """Environment variables of the init container that fetches the files. None: nothing is fetched."""
    fetch_mounts: tuple[Manifest, ...] = ()
    """Further mounts of the init container."""
    graceful: bool = True
    """True if gyrus's own code in the pod ends its requests in order, for which it gets more time."""
    volumes: tuple[Manifest, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def reaches_operator(self) -> bool:
        """True if a container of it, the one that fetches files included, reaches the operator."""
        return self.fetch is not None or any(plan.reaches_operator for plan in self.containers)


class EnvironmentKeys(Protocol):
    """The choice of a package's Python environment."""

    async def environment(self, package: str | None, requirements: str | None) -> str:
        """Return the key of the environment. ``requirements``: the file that the specification names.

        Raises EnvironmentFailure.
        """
        ...


class Programs(Protocol):
    """The choice of a replica's program."""

    async def environment(self, order: ReplicaOrder) -> str | None:
        """Return the key of the Python environment that must exist first. None: no environment is needed.

        Raises EnvironmentFailure.
        """
        ...

    def program(self, order: ReplicaOrder, environment: str | None) -> Program:
        """Return the program. ``environment``: the key that :meth:`environment` has returned."""
        ...


@dataclass(frozen=True, slots=True)
class ReplicaPrograms:
    """Programs in gyrus's runtime image, or in the images that the order names."""

    settings: KubernetesSettings
    environments: EnvironmentKeys

    async def environment(self, order: ReplicaOrder) -> str | None:
        code = order.workload.code
        if code.group is not None or code.image is not None:
            return None
        return await self.environments.environment(code.package, order.workload.environment.requirements)

    def program(self, order: ReplicaOrder, environment: str | None) -> Program:
        group = order.workload.code.group
        if group is not None:
            return group_program(order, group, self.settings)
        return self._runtime(order, environment or IMAGE_ENVIRONMENT)

    def _runtime(self, order: ReplicaOrder, environment: str) -> Program:
        """Return the program of gyrus's runtime, with a fetched environment or that of the user's image."""
        image = order.workload.code.image
        cached = bool(self.settings.node_cache) and environment != IMAGE_ENVIRONMENT
        fetch = FetchOrder(
            package=order.workload.code.package,
            environment=environment,
            config=configure(
                order,
                environment,
                self._archive(order.id),
                self.settings.proof(order.id),
                cached=cached,
            ),
            models=(models := order.workload.code.models),
            models_proof=self._models_proof(order.id, models),
            cached=cached,
            image=image or "",
        )
        metrics = {METRICS_PORT_NAME: METRICS_PORT} if has_metrics(order) else {}
        container = ContainerPlan(
            name=MAIN,
            image=image or self.settings.image,
            command=START_COMMAND if image else serve_command(environment),
            compute=order.workload.compute,
            ports=serving_ports(ports(order)) | {STATUS_PORT_NAME: STATUS_PORT} | metrics,
            readiness=http_check("/readyz", STATUS_PORT_NAME),
            liveness=LIVENESS | {"tcpSocket": {"port": STATUS_PORT_NAME}},
            pre_stop=_leave(self.settings.pre_stop(order.id), START_COMMAND[0] if image else PYTHON),
            of_user=image is not None,
            mounts=(CACHE_MOUNT | {"readOnly": True},) if cached else (),
            reaches_operator=True,
        )
        return Program(
            containers=(container,),
            fetch=access(order.id, fetch, self.settings),
            fetch_mounts=(CACHE_MOUNT,) if cached else (),
            volumes=(cache_volume(self.settings.node_cache),) if cached else (),
            annotations=self.settings.serves_on
            | (scrape_annotations(METRICS_PORT, METRICS_PATH) if metrics else {}),
        )

    def _models_proof(self, replica: str, models: ModelFolder | None) -> str:
        return replica_proof(self.settings.secret, models_purpose(models.key), replica) if models else ""

    def _archive(self, replica: str) -> LogArchiveAccess:
        secret = log_secret(self.settings.secret, replica)
        return LogArchiveAccess(url=self.settings.files, secret=secret, ca=CA_FILE)


@dataclass(frozen=True, slots=True)
class ImagePrograms:
    """Servers in an image that has all they need, without gyrus's sidecar: Kubernetes restarts them."""

    image: str

    async def environment(self, order: ReplicaOrder) -> str | None:
        return None

    def program(self, order: ReplicaOrder, environment: str | None = None) -> Program:
        process = order.workload.code.process
        if process is None:
            raise ValueError(f"{order.id} has a handler, and only a process runs in an image of its own")
        path = process.ready_path
        check = http_check(path, REPLICA_PORT) if path else READINESS | {"tcpSocket": {"port": REPLICA_PORT}}
        container = ContainerPlan(
            name=MAIN,
            image=self.image,
            command=process.command,
            variables=as_written(order.workload.environment.variables)
            | ({"PORT": str(REPLICA_PORT)} if process.serves else {}),
            compute=order.workload.compute,
            ports=serving_ports(ports(order)),
            readiness=check if process.serves else None,
        )
        return Program(containers=(container,), graceful=False)


def group_program(order: ReplicaOrder, group: ContainerGroup, settings: KubernetesSettings) -> Program:
    """Return the program of containers of the user's own, with gyrus's sidecar if one of them serves."""
    serves = group.port is not None
    proxied = serves and order.workload.limits.max_concurrency is not None
    volumes: list[Manifest] = [{"name": "mnt", "emptyDir": {}}]
    mounts: list[Manifest] = [{"name": "mnt", "mountPath": "/mnt"}]
    annotations: dict[str, str] = {}
    if group.cortex:
        annotations[CORTEX_ANNOTATION] = cortex_configuration(settings.namespace)
        volumes.append(_annotation_volume("cortex", CORTEX_ANNOTATION, "cli.yaml"))
        mounts.append({"name": "cortex", "mountPath": CORTEX_FOLDER, "readOnly": True})
    containers: list[ContainerPlan] = []
    for container in group.containers:
        plan = _of_user(container, order, group, serves=serves, mounts=mounts)
        if container.readiness and not group.cortex:
            plan = _with_restarts(plan, container.readiness, order.workload.start_timeout)
        if container.compute.shm is not None:
            name = f"shm-{len(volumes)}"
            size = str(container.compute.shm)
            volumes.append({"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}})
            plan = replace(plan, mounts=(*plan.mounts, {"name": name, "mountPath": "/dev/shm"}))
        if serves and not proxied and not containers:
            plan = replace(plan, ports=serving_ports((group.port or 0,)))
        containers.append(plan)
    if serves:
        containers.append(_sidecar(order, group, settings, proxied=proxied))
        if not any(container.pre_stop for container in group.containers):
            annotations |= settings.serves_on
    return Program(
        containers=tuple(containers), graceful=serves, volumes=tuple(volumes), annotations=annotations
    )


def _with_restarts(plan: ContainerPlan, check: ContainerProbe, start_timeout: float) -> ContainerPlan:
    """Return a server's container that is started again after a minute without an answer, as on one machine.

    Before its first answer, only the start timeout counts, which the operator enforces.
    """
    action = _action(check.http_path, check.port, check.command)
    longest = {"failureThreshold": math.ceil(start_timeout) + STARTUP_MARGIN}
    return replace(plan, liveness=LIVENESS | action, startup=READINESS | action | longest)


def _of_user(
    container: Container,
    order: ReplicaOrder,
    group: ContainerGroup,
    *,
    serves: bool,
    mounts: list[Manifest],
) -> ContainerPlan:
    variables = {
        "GYRUS_API": order.api,
        "GYRUS_REPLICA": order.id,
        "GYRUS_REVISION": str(order.revision),
    }
    if group.cortex:
        variables |= {"CORTEX_VERSION": CORTEX_VERSION, "CORTEX_CLI_CONFIG_DIR": CORTEX_FOLDER}
        variables |= {"CORTEX_PORT": str(group.port)} if serves else {}
    hook = _hook(container.pre_stop) if container.pre_stop else None
    drained: Manifest = {"httpGet": {"path": DRAINED_PATH, "port": STATUS_PORT, "scheme": "HTTP"}}
    return ContainerPlan(
        name=container.name,
        image=container.image,
        command=container.command,
        args=container.args,
        variables=variables | container.variables,
        compute=container.compute,
        readiness=_probe(container.readiness) if container.readiness else None,
        liveness=UNRESPONSIVE | _probe(container.liveness) if container.liveness else None,
        pre_stop=hook or (drained if serves else None),
        of_user=True,
        mounts=tuple(mounts),
    )


def _sidecar(
    order: ReplicaOrder, group: ContainerGroup, settings: KubernetesSettings, *, proxied: bool
) -> ContainerPlan:
    work = SidecarOrder(
        api=order.api,
        upstream=group.port or 0,
        limits=order.workload.limits,
        probe=not any(container.readiness for container in group.containers),
        proxy=proxied,
        pre_stop=settings.pre_stop(order.id),
        grace=order.workload.grace,
        origin=group.cortex,
        proof=settings.proof(order.id) if proxied else "",
    )
    return ContainerPlan(
        name=SIDECAR,
        image=settings.image,
        command=SIDECAR_COMMAND,
        variables=as_written({ORDER: msgspec.json.encode(work).decode()}),
        compute=ComputeResources(cpu=settings.sidecar_cpu, mem=settings.sidecar_mem),
        ports=(serving_ports((PROXY_PORT,)) if proxied else {}) | {SIDECAR_PORT_NAME: STATUS_PORT},
        readiness=http_check("/readyz", STATUS_PORT),
        reaches_operator=True,
    )


def _probe(probe: ContainerProbe) -> Manifest:
    return _action(probe.http_path, probe.port, probe.command) | {
        "initialDelaySeconds": probe.initial_delay,
        "timeoutSeconds": probe.timeout,
        "periodSeconds": probe.period,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    }


def _hook(hook: ContainerHook) -> Manifest:
    return _action(hook.http_path, hook.port, hook.command)


def _action(path: str | None, port: int | None, command: tuple[str, ...]) -> Manifest:
    if command:
        return {"exec": {"command": [*command]}}
    if path is not None:
        return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}
    return {"tcpSocket": {"port": port}}


def _annotation_volume(name: str, annotation: str, file: str) -> Manifest:
    """Return a volume with one file, whose content is an annotation of the pod."""
    path = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{annotation}']"}
    return {"name": name, "downwardAPI": {"items": [{"path": file, "fieldRef": path}]}}


def cortex_configuration(namespace: str) -> str:
    """Return the configuration of Cortex's clients: the operator is the only environment."""
    url = f"https://{operator_host(namespace)}:{API_PORT}"
    return (
        "telemetry: false\ndefault_environment: cortex\nenvironments:\n"
        f"- name: cortex\n  operator_endpoint: {url}\n"
    )


def http_check(path: str, port: str | int) -> Manifest:
    return READINESS | {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}}


def serving_ports(numbers: Iterable[int]) -> dict[str, int]:
    """Return the ports of a container to which requests go, by name."""
    return {f"{SERVING}{index}": port for index, port in enumerate(numbers)}


def as_written(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables whose references as ``$(NAME)`` stay as they are."""
    return {name: value.replace("$(", "$$(") for name, value in variables.items()}


def access(pod: str, order: object, settings: KubernetesSettings) -> dict[str, str]:
    """Return the variables of a container that gets its order done by means of the files server."""
    return {
        ORDER: msgspec.json.encode(order).decode(),
        FILES: settings.files,
        POD: pod,
        SECRET: replica_secret(settings.secret, pod),
    }


def cache_volume(folder: str) -> Manifest:
    """Return the volume of a node's cache. :mod:`gyrus.pods.keep_cache` prepares the folder."""
    return {"name": "environments", "hostPath": {"path": folder, "type": "Directory"}}


def _leave(order: PreStopOrder | None, python: str) -> Manifest | None:
    """Return the hook that ends when no gateway routes to the pod. Returns None if the pod ends at once."""
    if order is None:
        return None
    return {"exec": {"command": [python, "-I", "-S", PRE_STOP_FILE, msgspec.json.encode(order).decode()]}}
