"""The containers of a replica: gyrus's runtime with a fetched environment, or an image that the user built.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from gyrus.backends.kubernetes.configuration import configure, ports
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import REPLICA_PORT, replica_secret
from gyrus.contract.pods import (
    FILES,
    ORDER,
    POD,
    PYTHON,
    SECRET,
    FetchOrder,
    serve_command,
)
from gyrus.kubernetes.resources import Manifest

STATUS_PORT_NAME = "status"
"""Name of the port at which a supervisor reports its status. A container without it has no supervisor."""
METRICS_PORT_NAME = "metrics"
"""Name of the port at which a supervisor serves the metrics of its processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The program of a replica's pod."""

    image: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: tuple[int, ...] = ()
    fetch: Mapping[str, str] | None = None
    """Environment variables of the init container that fetches the files. None: nothing is fetched."""
    supervised: bool = True
    """True if the container's first process is gyrus's supervisor, which reports its status."""
    readiness: Manifest | None = None
    liveness: Manifest | None = None
    pre_stop: tuple[str, ...] = ()


class Environments(Protocol):
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
class RuntimePrograms:
    """Programs in gyrus's runtime image."""

    settings: KubernetesSettings
    environments: Environments

    async def environment(self, order: ReplicaOrder) -> str:
        workload = order.workload
        return await self.environments.environment(workload.code.package, workload.environment.requirements)

    def program(self, order: ReplicaOrder, environment: str | None) -> Program:
        assert environment is not None
        fetch = FetchOrder(
            package=order.workload.code.package,
            environment=environment,
            config=configure(order, environment),
        )
        return Program(
            image=self.settings.image,
            command=serve_command(environment),
            ports=ports(order),
            fetch=access(order.id, fetch, self.settings),
            readiness={"httpGet": {"path": "/readyz", "port": STATUS_PORT_NAME, "scheme": "HTTP"}},
            liveness={"tcpSocket": {"port": STATUS_PORT_NAME}},
            pre_stop=_pause(self.settings.serving_on),
        )


@dataclass(frozen=True, slots=True)
class ImagePrograms:
    """Programs in an image that has all they need. There is no supervisor: Kubernetes restarts them."""

    image: str

    async def environment(self, order: ReplicaOrder) -> str | None:
        return None

    def program(self, order: ReplicaOrder, environment: str | None = None) -> Program:
        process = order.workload.code.process
        if process is None:
            raise ValueError(f"{order.id} has a handler, and only a process runs in an image of its own")
        path = process.ready_path
        check: Manifest = {"tcpSocket": {"port": REPLICA_PORT}}
        if path:
            check = {"httpGet": {"path": path, "port": REPLICA_PORT, "scheme": "HTTP"}}
        return Program(
            image=self.image,
            command=process.command,
            variables={"PORT": str(REPLICA_PORT)} if process.serves else {},
            ports=ports(order),
            supervised=False,
            readiness=check if process.serves else None,
        )


def access(pod: str, order: object, settings: KubernetesSettings) -> dict[str, str]:
    """Return the variables of a container that gets its order done by means of the files server."""
    return {
        ORDER: msgspec.json.encode(order).decode(),
        FILES: settings.files,
        POD: pod,
        SECRET: replica_secret(settings.secret, pod),
    }


def _pause(seconds: float) -> tuple[str, ...]:
    """Return a command that takes so long. No shell and no ``sleep`` are required in the image."""
    return (PYTHON, "-I", "-c", f"import time; time.sleep({seconds:g})") if seconds else ()
