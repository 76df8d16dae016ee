"""The preparation of a replica before its launch: its project, its environment, its share of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.aio.start_limiter import FairSemaphore
from gyrus.backends.local.capacity import Claim
from gyrus.backends.local.capacity_messages import impossible
from gyrus.backends.local.configuration import LaunchContext
from gyrus.backends.local.placement import PlacementQueue
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.replica import Phase, Reason
from gyrus.environments.cache import EnvironmentCache, EnvironmentRequest
from gyrus.environments.errors import EnvironmentFailure
from gyrus.objects.errors import ObjectError, ObjectsUnreachable
from gyrus.objects.model_cache import ModelCache


class ReportProgress(Protocol):
    """Callback with the progress of a replica, for display."""

    def __call__(self, phase: Phase, message: str, reason: Reason | None = None) -> None: ...


class Projects(Protocol):
    """The source of packages."""

    async def project(self, digest: str) -> Path:
        """Return the folder with a package's files. Unpack them if necessary.

        Raises an exception whose text explains the failure to the user.
        """
        ...

    def locks(self, digest: str) -> Path:
        """Return the folder for the locks of a package's dependencies."""
        ...

    async def forget(self, digests: Iterable[str]) -> None:
        """Remove these packages. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Services that all replicas of this machine share."""

    home: Home
    clock: Clock
    settings: LocalSettings
    projects: Projects
    environments: EnvironmentCache
    models: ModelCache
    placement: PlacementQueue
    starting: FairSemaphore


class CannotLaunch(Exception):
    """A replica that cannot be launched, and for which a retry would not help. ``str()`` is one line."""

    def __init__(self, reason: Reason, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.lines = lines


class ModelsUnreachable(OSError):
    """The models cannot be fetched now; another try may help. ``str()`` is one line."""


async def prepare(
    order: ReplicaOrder,
    claim: Claim,
    empty: Path,
    services: Services,
    report: ReportProgress,
    known: LaunchContext | None = None,
) -> LaunchContext:
    """Prepare a replica.

    ``empty``: the project's folder for an order without files. ``known``: the result of
    :func:`prepare_shared`, if there is one already.

    The claim comes last, so that no capacity is held for a replica that is not ready to start.

    Raises CannotLaunch, OSError.
    """
    _check_possible(claim, services.placement)
    context = known or await prepare_shared(order, empty, services, report)
    return replace(context, devices=await _place(claim, services.placement, report))


async def prepare_shared(
    order: ReplicaOrder, empty: Path, services: Services, report: ReportProgress
) -> LaunchContext:
    """Prepare the parts that all replicas of such an order share. Raises CannotLaunch, OSError."""
    project = await _project(order, empty, services, report)
    models = await _models(order, services, report)
    python = await _python(order, project, services, report)
    return LaunchContext(
        project=project,
        python=python,
        models=models,
        has_devices=bool(services.placement.allocations.machine.gpus),
    )


def _check_possible(claim: Claim, placement: PlacementQueue) -> None:
    allocations = placement.allocations
    if claim.replica not in allocations.shares:
        for resource in allocations.impossible(claim.needs):
            raise CannotLaunch(Reason.UNSCHEDULABLE, impossible(resource, claim.needs, allocations))


async def _project(order: ReplicaOrder, empty: Path, services: Services, report: ReportProgress) -> Path:
    package = order.workload.code.package
    if package is None:
        empty.mkdir(exist_ok=True)
        return empty
    report(Phase.PENDING, "unpacking the project")
    try:
        return await services.projects.project(package)
    except Exception as error:
        raise CannotLaunch(Reason.PACKAGE, f"the project could not be unpacked: {error}") from error


async def _models(order: ReplicaOrder, services: Services, report: ReportProgress) -> Path | None:
    models = order.workload.code.models
    if models is None:
        return None
    try:
        return await services.models.fetch(models, lambda message: report(Phase.PENDING, message))
    except ObjectsUnreachable as error:  # the replica is launched again, after the back-off
        raise ModelsUnreachable(str(error).rstrip(".")) from error
    except ObjectError as error:
        raise CannotLaunch(Reason.PACKAGE, str(error).rstrip(".")) from error


async def _python(order: ReplicaOrder, project: Path, services: Services, report: ReportProgress) -> Path:
    package = order.workload.code.package
    request = EnvironmentRequest(
        asker=f"{order.api}/{order.generation}",
        project=project,
        package=package,
        locks=services.projects.locks(package) if package else None,
        requirements=order.workload.environment.requirements,
    )
    try:
        return await services.environments.python(request, lambda message: report(Phase.BUILDING, message))
    except EnvironmentFailure as failure:
        raise CannotLaunch(Reason.DEPENDENCIES, str(failure), failure.lines) from failure


async def _place(claim: Claim, placement: PlacementQueue, report: ReportProgress) -> tuple[str, ...]:
    def waiting(message: str | None) -> None:
        if message is None:
            report(Phase.PENDING, "about to start")
        else:
            report(Phase.PENDING, message, Reason.CAPACITY)

    return await placement.take(claim, waiting)
