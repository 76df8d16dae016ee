"""The program that a replica, or a worker of a job, runs, in terms that every backend understands.

Orders carry it, and backends keep it on disk: an order that an earlier gyrus wrote is read by the next one.
So a field is only ever added, with a default that means what its absence meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gyrus.contract.compute import ComputeResources as ComputeResources
from gyrus.contract.containers import ContainerGroup
from gyrus.contract.fork_server import Preload
from gyrus.contract.models import ModelFolder
from gyrus.contract.replica import HandlerConfig, Limits, ProcessConfig, RestartPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The program. Exactly one of ``handler``, ``process`` and ``group`` is given."""

    package: str | None = None
    """Digest of the archive of the project's files; None: there are none."""
    handler: HandlerConfig | None = None
    models: ModelFolder | None = None
    """The models of a handler; None: there are none."""
    process: ProcessConfig | None = None
    group: ContainerGroup | None = None
    """Containers of images that have all they need."""
    image: str | None = None
    """The image with the Python packages of a handler; None: gyrus installs them."""
    processes: int = 1
    """Processes that load the handler."""
    preload: Preload | None = None
    """How far the handler is loaded in advance, so that replicas start as forks; None: not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint of nodes that a replica accepts, as Kubernetes writes it."""

    key: str | None = None
    operator: str = "Equal"
    value: str | None = None
    effect: str | None = None
    seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The nodes on which replicas may run."""

    node_groups: tuple[str, ...] = ()
    """Names of node groups, in order of preference. Empty: any."""
    node_selector: dict[str, str] = field(default_factory=dict[str, str])
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    priority: str | None = None
    """The priority class of the replicas; None: the installation's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEnvironment:
    """The surroundings of the program."""

    requirements: str | None = None
    """The project's file of Python dependencies. None: requirements.txt or pyproject.toml, if there."""
    variables: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Two replicas with equal workloads behave alike. Times in seconds."""

    code: Code
    compute: ComputeResources = field(default_factory=ComputeResources)
    environment: WorkloadEnvironment = WorkloadEnvironment()
    limits: Limits = field(default_factory=Limits)
    """Limits of one process: the replica's slots and queue are divided among its processes."""
    start_timeout: float = 600.0
    """From the start of a process until it is ready."""
    grace: float = 60.0
    """From SIGTERM to a process until it is killed."""
    restart: RestartPolicy = RestartPolicy.ALWAYS
    placement: Placement = field(default_factory=Placement)

    @property
    def queue_proxy(self) -> bool:
        """A proxy with slots and a queue stands before a server that is not ours."""
        process = self.code.process
        return process is not None and process.serves and self.limits.max_concurrency is not None
