"""The containers of a replica that runs images of the user's own.

Orders carry them, like the rest of a workload: a field is only ever added, with a default that means what its
absence meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gyrus.contract.compute import ComputeResources


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerProbe:
    """A check of a container. Exactly one of ``http_path`` (with ``port``), ``port`` and ``command`` decides.

    Times in seconds.
    """

    http_path: str | None = None
    """The path of a GET that 2xx or 3xx answers; None: ``port`` must accept connections."""
    port: int | None = None
    command: tuple[str, ...] = ()
    """A command in the container that must exit with 0."""
    initial_delay: int = 0
    timeout: int = 1
    period: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerHook:
    """An action before a container ends: a GET or a command."""

    http_path: str | None = None
    port: int | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container. References as ``$(NAME)`` in its command, arguments and variables are expanded."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    """Empty: the image's own entry point."""
    args: tuple[str, ...] = ()
    """Empty: the image's own arguments, unless there is a command."""
    variables: dict[str, str] = field(default_factory=dict[str, str])
    compute: ComputeResources = field(default_factory=ComputeResources)
    readiness: ContainerProbe | None = None
    liveness: ContainerProbe | None = None
    pre_stop: ContainerHook | None = None
    """The action before it ends. None: to wait until no request is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerGroup:
    """The containers of one replica. They share localhost and the folder ``/mnt``."""

    containers: tuple[Container, ...]
    port: int | None = None
    """The port on which one of them answers requests. None: none of them does."""
    cortex: bool = False
    """True for the variables and files of Cortex, and its answer header."""
