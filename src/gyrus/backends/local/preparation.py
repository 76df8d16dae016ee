"""What a replica needs before it can be launched: its project, its environment, its place on the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.backends.local.capacity import Claim
from gyrus.backends.local.configuration import Ground
from gyrus.backends.local.environments.failure import EnvironmentFailure
from gyrus.backends.local.environments.shelf import EnvironmentShelf, Request
from gyrus.backends.local.places import Places
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.local.telling import impossible
from gyrus.backends.local.turns import Turns
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.replica import Phase, Reason


class Say(Protocol):
    """Takes what the replica is doing, for people."""

    def __call__(self, phase: Phase, message: str, reason: Reason | None = None) -> None: ...


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
    places: Places
    starting: Turns


class Impossible(Exception):
    """The replica cannot be launched, and trying again would not help. ``str()`` of it is one line."""

    def __init__(self, reason: Reason, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.lines = lines


async def prepare(
    order: ReplicaOrder, claim: Claim, empty: Path, workshop: Workshop, say: Say, known: Ground | None = None
) -> Ground:
    """``empty``: the project of an order without files. ``known``: what was prepared already for all like it.
    Raises Impossible, OSError.

    The place comes last: nothing is held for a replica that is not ready to start.
    """
    _check_possible(claim, workshop.places)
    ground = known or await furnish(order, empty, workshop, say)
    return replace(ground, devices=await _place(claim, workshop.places, say))


async def furnish(order: ReplicaOrder, empty: Path, workshop: Workshop, say: Say) -> Ground:
    """What all replicas of an order's kind share. Raises Impossible, OSError."""
    project = await _project(order, empty, workshop, say)
    python = await _python(order, project, workshop, say)
    return Ground(project=project, python=python, has_devices=bool(workshop.places.ledger.machine.gpus))


def _check_possible(claim: Claim, places: Places) -> None:
    ledger = places.ledger
    if claim.replica not in ledger.shares:
        for resource in ledger.impossible(claim.needs):
            raise Impossible(Reason.UNSCHEDULABLE, impossible(resource, claim.needs, ledger))


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


async def _place(claim: Claim, places: Places, say: Say) -> tuple[str, ...]:
    def report(message: str | None) -> None:
        if message is None:
            say(Phase.PENDING, "about to start")
        else:
            say(Phase.PENDING, message, Reason.CAPACITY)

    return await places.take(claim, report)
