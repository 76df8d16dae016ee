"""What a replica needs before it can be launched: its project, its environment, its devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.backends.local.configuration import Ground
from gyrus.backends.local.devices import Devices
from gyrus.backends.local.environments.failure import EnvironmentFailure
from gyrus.backends.local.environments.shelf import EnvironmentShelf, Request
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.local.turns import Turns
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.replica import Phase, Reason

Say = Callable[[Phase, str], None]
"""Takes what the replica is doing, for people."""


class Projects(Protocol):
    """Where packages are."""

    async def project(self, digest: str) -> Path:
        """The folder of a package's files, unpacked if need be. Raises what tells the user why not."""
        ...

    async def forget(self, digests: Iterable[str]) -> None:
        """Remove these packages. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What all replicas of this machine are made with."""

    home: Home
    clock: Clock
    settings: LocalSettings
    projects: Projects
    environments: EnvironmentShelf
    devices: Devices
    starting: Turns


class Impossible(Exception):
    """The replica cannot be launched, and trying again would not help. ``str()`` of it is one line."""

    def __init__(self, reason: Reason, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.lines = lines


async def prepare(order: ReplicaOrder, empty: Path, workshop: Workshop, say: Say) -> Ground:
    """``empty``: the project of an order without files. Raises Impossible, OSError."""
    _check_devices(order, workshop.devices)
    project = await _project(order, empty, workshop, say)
    python = await _python(order, project, workshop, say)
    devices = await _devices(order, workshop.devices, say)
    return Ground(project=project, python=python, devices=devices, has_devices=bool(workshop.devices.names))


def _check_devices(order: ReplicaOrder, devices: Devices) -> None:
    wanted, there = order.spec.compute.gpu, len(devices.names)
    if wanted > there:
        has = f"this machine has {there}" if there else "this machine has none"
        told = f"compute.gpu is {wanted}, and {has}; ask for fewer, or deploy where there are enough"
        raise Impossible(Reason.UNSCHEDULABLE, told)


async def _project(order: ReplicaOrder, empty: Path, workshop: Workshop, say: Say) -> Path:
    if order.package is None:
        empty.mkdir(exist_ok=True)
        return empty
    say(Phase.PENDING, "unpacking the project")
    try:
        return await workshop.projects.project(order.package)
    except Exception as error:
        raise Impossible(Reason.PACKAGE, f"the project could not be unpacked: {error}") from error


async def _python(order: ReplicaOrder, project: Path, workshop: Workshop, say: Say) -> Path:
    spec = order.spec
    source = spec.handler or spec.process
    request = Request(
        asker=f"{spec.name}/{order.generation}",
        project=project,
        package=order.package,
        requirements=source.requirements if source else None,
    )
    try:
        return await workshop.environments.python(request, lambda message: say(Phase.BUILDING, message))
    except EnvironmentFailure as failure:
        raise Impossible(Reason.DEPENDENCIES, str(failure), failure.lines) from failure


async def _devices(order: ReplicaOrder, devices: Devices, say: Say) -> tuple[str, ...]:
    wanted = order.spec.compute.gpu

    def wait(free: int) -> None:
        say(Phase.PENDING, f"waiting for {wanted} of the machine's {len(devices.names)} GPUs ({free} free)")

    return await devices.take(order.id, wanted, wait)
