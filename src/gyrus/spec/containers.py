"""The section ``pod``: containers of images that have all they need, as Cortex 0.42 writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gyrus.spec.api import Model
from gyrus.spec.faults import Contradiction
from gyrus.spec.quantities import Cores, MemorySize, format_memory
from gyrus.spec.words import ImageName, LabelName, RoutePath, Text, Variable

RESERVED_PORTS = (18003, 18004, 18005)
"""Ports of gyrus's own container in each pod."""
RESERVED_NAMES = ("fetch", "sidecar")
"""Names of gyrus's own containers in each pod."""
CORTEX_VARIABLES = "CORTEX_"
"""Prefix of the variables that each container of a pod gets."""
LEAST_CPU = 0.02
LEAST_MEMORY = 20 * 2**20

PortNumber = Annotated[int, Field(ge=1, le=65535)]
CommandWords = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]


class HttpGet(Model):
    """A GET request to the container."""

    port: PortNumber = Field(examples=[8080])
    """The port of the container."""
    path: RoutePath = "/"
    """The path. 200 to 399 is success."""


class TcpSocket(Model):
    """A connection to the container."""

    port: PortNumber = Field(examples=[8080])
    """The port of the container."""


class Exec(Model):
    """A command in the container."""

    command: CommandWords = Field(examples=[["cat", "/tmp/ready"]])
    """The program and its arguments. Exit code 0 is success."""


class HealthProbe(Model):
    """A check of a container. Exactly one of http_get, tcp_socket and exec is required."""

    http_get: HttpGet | None = None
    """A GET request to the container."""
    tcp_socket: TcpSocket | None = None
    """A connection to the container."""
    exec: Exec | None = None
    """A command in the container."""
    initial_delay_seconds: int = Field(default=0, ge=0, le=86_400)
    """Seconds from the container's start until the first check."""
    timeout_seconds: int = Field(default=1, ge=1, le=3600)
    """Seconds after which a check fails."""
    period_seconds: int = Field(default=10, ge=1, le=3600)
    """Seconds between two checks."""
    success_threshold: int = Field(default=1, ge=1, le=1000)
    """Successes in a row after a failure that make the container ready."""
    failure_threshold: int = Field(default=3, ge=1, le=1000)
    """Failures in a row that make the container unready, or end it."""

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _one_of(self, "http_get", "tcp_socket", "exec")


class PreStop(Model):
    """An action before the container ends. Exactly one of http_get and exec is required."""

    http_get: HttpGet | None = None
    """A GET request to the container."""
    exec: Exec | None = None
    """A command in the container."""

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _one_of(self, "http_get", "exec")


class ContainerCompute(Model):
    """The resources of one container."""

    cpu: Cores = 0.2
    """Cores, such as 200m or 2; at least 20m."""
    mem: MemorySize | None = None
    """Memory, such as 512Mi or 1Gi; at least 20Mi. A container that uses more is restarted. By default no
    limit."""
    gpu: int = Field(default=0, ge=0, le=64)
    """Whole NVIDIA GPUs."""
    inf: int = Field(default=0, ge=0, le=64)
    """AWS Inferentia devices."""
    shm: MemorySize | None = None
    """Shared memory at /dev/shm, which counts as mem. By default what the node's container runtime gives."""

    def contradictions(self) -> Iterator[Contradiction]:
        if self.cpu < LEAST_CPU:
            message = f"is {self.cpu * 1000:g}m, and a container needs at least 20m"
            yield Contradiction(path=("cpu",), message=message, remedy="write 20m or more")
        if self.mem is not None and self.mem < LEAST_MEMORY:
            message = f"is {format_memory(self.mem)}, and a container needs at least 20Mi"
            yield Contradiction(path=("mem",), message=message, remedy="write 20Mi or more")
        if self.shm and self.mem and self.shm > self.mem:
            message = f"is {format_memory(self.shm)}, above mem, which is {format_memory(self.mem)}"
            yield Contradiction(path=("shm",), message=message, remedy="write at most mem, or raise mem")
        if self.gpu and self.inf:
            message = f"is {self.inf}, and gpu is {self.gpu}: no node has both"
            yield Contradiction(path=("inf",), message=message, remedy="remove one of them")


class PodContainer(Model):
    """One container."""

    name: LabelName = Field(examples=["api"])
    """The container's name, unique in the pod."""
    image: ImageName = Field(examples=["registry.example.com/iris:1"])
    """The image, which the nodes must be able to pull."""
    command: CommandWords | None = Field(default=None, examples=[["python", "server.py"]])
    """The program. By default the image's entry point. $(NAME) is replaced by the variable's value."""
    args: CommandWords | None = Field(default=None, examples=[["--port", "8080"]])
    """Its arguments. By default the image's, if there is no command. $(NAME) is replaced, too."""
    env: dict[Variable, Text] = Field(
        default_factory=dict,
        examples=[{"LOG_LEVEL": "info"}],
        json_schema_extra={"additionalProperties": {"type": ["string", "number"]}},
    )
    """Environment variables of the container."""
    compute: ContainerCompute = ContainerCompute()
    """The resources of the container."""
    readiness_probe: HealthProbe | None = None
    """The replica gets requests while this check succeeds. By default while the pod's port accepts
    connections."""
    liveness_probe: HealthProbe | None = None
    """The container is restarted when this check fails."""
    pre_stop: PreStop | None = None
    """The action before the container ends. By default it waits until the replica has no requests."""

    def contradictions(self) -> Iterator[Contradiction]:
        if self.name in RESERVED_NAMES:
            message = f"{self.name} is the name of one of gyrus's own containers"
            yield Contradiction(path=("name",), message=message, remedy="choose another name")
        for name in self.env:
            if name.startswith(CORTEX_VARIABLES):
                message = f"is reserved for the platform, as all that begin with {CORTEX_VARIABLES}"
                yield Contradiction(
                    path=("env", name), message=message, remedy="choose another name", at_key=True
                )
        probe = self.liveness_probe
        if probe and probe.success_threshold != 1:
            message = f"is {probe.success_threshold}, and Kubernetes allows only 1 for liveness"
            yield Contradiction(
                path=("liveness_probe", "success_threshold"), message=message, remedy="write 1"
            )


class PodSpec(Model):
    """Containers of images that have all they need. They share localhost and the folder /mnt."""

    port: PortNumber = 8080
    """The port on which one of the containers answers requests."""
    max_concurrency: int | None = Field(default=1, ge=1, le=30_000)
    """Requests that a replica processes at the same time; null means no limit, and no queue."""
    max_queue_length: int = Field(default=100, ge=0, le=30_000)
    """The most requests that wait at a replica. The next one is refused with 503."""
    containers: Annotated[tuple[PodContainer, ...], Field(strict=False, max_length=20)] = Field(
        examples=[[{"name": "api", "image": "registry.example.com/iris:1"}]],
        json_schema_extra={"minItems": 1},
    )
    """The containers of each replica."""

    def contradictions(self) -> Iterator[Contradiction]:
        if self.port in RESERVED_PORTS:
            message = f"{self.port} is a port of gyrus's own container"
            yield Contradiction(path=("port",), message=message, remedy="choose another port")
        if not self.containers:
            message, remedy = (
                "must not be empty",
                "write for example containers: [{name: api, image: iris:1}]",
            )
            yield Contradiction(path=("containers",), message=message, remedy=remedy)
        names = Counter[str]()
        for number, container in enumerate(self.containers):
            names[container.name] += 1
            if names[container.name] == 2:
                message = f"{container.name} is the name of another container too"
                where = ("containers", number, "name")
                yield Contradiction(path=where, message=message, remedy="rename one of them")


def _one_of(section: Model, *fields: str) -> Iterator[Contradiction]:
    given = [name for name in fields if getattr(section, name) is not None]
    if len(given) == 1:
        return
    remedy = f"exactly one of {', '.join(fields)} is required"
    if given:
        yield Contradiction(
            path=(given[-1],), message=f"is given beside {given[0]}", remedy=remedy, at_key=True
        )
    else:
        message = f"names none of {', '.join(fields)}"
        yield Contradiction(path=(), message=message, remedy="write exactly one of them")
